// What the console's pages may do to a film; the public gateway's have nothing of it.
import { useState } from "preact/hooks";
import { Video } from "./api";
import { deletion } from "./films";
import { act, Cmd, go, useActions, useConfirm } from "./ui";

const policies = ["auto", "hot", "cold"];
const meaning: Record<string, string> = {
  auto: "The cluster decides by how often it is watched.", hot: "Three copies, whatever the cluster thinks.", cold: "Fragments: less room, and any two stores may fail.",
};

export function Actions({ video }: { video: Video }) {
  const may = useActions();
  const [policy, setPolicy] = useState(video.policy);
  const [said, setSaid] = useState("");
  const [failed, setFailed] = useState("");
  const [ask, dialog] = useConfirm();
  if (!may.length) return null;

  const keep = (policy: string) => {
    setFailed("");
    setPolicy(policy);
    act("PUT", `/v1/videos/${video.id}/class`, { policy }).then(
      () => setSaid(policy === "auto" ? "the cluster decides" : "kept " + policy), (e: Error) => { setFailed(e.message); setPolicy(video.policy); });
  };
  return (
    <div class="card actions">
      <label>Keep it <select value={policy} onChange={(e) => keep(e.currentTarget.value)}>{policies.map((p) => <option key={p} value={p}>{p}</option>)}</select></label>
      <span class="soft">{meaning[policy]}</span>
      <span role="status">{said}</span>
      <button class="danger" onClick={() => ask(deletion(video, () => go("/videos")))}>Delete</button>
      {failed && <span class="bad" role="alert">{failed}</span>}
      <Cmd text={`vstack video pin ${video.id} ${policy}`} />
      {dialog}
    </div>
  );
}
