// The catalog's members: who leads, who follows how closely, what may fail.
import { count, Peer, Raft } from "./api";
import { useTopic } from "./live";
import { act, Action, Badge, Cmd, Dot, Failure, Loading, Region, Stat, Tone, useActions, useConfirm } from "./ui";

export function RaftPage() {
  const raft = useTopic("raft");
  const may = useActions();
  const [ask, dialog] = useConfirm();
  if (!raft) return <Loading />;
  if (raft.error) {
    return <><h1>Catalog</h1><Failure what="No member answers" why={raft.error} next={<>A film that is being played goes on; nothing can be stored or changed. See <code>vstack doctor</code>.</>} /></>;
  }
  const peers = raft.peers ?? [];
  const silent = peers.filter((p) => !p.reached);
  return (
    <>
      <h1>Catalog</h1>
      {raft.diverged && <Failure what="Two members have different catalogs at one index" why="This must never happen. Keep their directories and report it." />}
      <div class="stats-row">
        <Stat label="Leader" value={raft.leader || "none"} tone={raft.leader ? "" : "bad"} note={raft.leader ? `term ${raft.term}` : "an election is under way, or too few members answer"} />
        <Stat label="May lose" value={<>{raft.can_fail}<small> of {peers.filter((p) => p.voter).length} voters</small></>} tone={raft.can_fail < 1 ? "warn" : ""} note={silent.length ? silent.map((p) => p.id).join(", ") + " does not answer" : "every member answers"} />
        <Stat label="Applied" value={count(raft.applied)} note={<>checksum <code>{raft.checksum.slice(0, 12) || "–"}</code></>} />
        <Stat label="Feature level" value={raft.level} note={<code>vstack raft level</code>} />
      </div>
      <h2>Members</h2>
      <Members raft={raft} peers={peers} may={may} ask={ask} />
      <Cmd text="vstack raft status" />
      {dialog}
    </>
  );
}

function Members({ raft, peers, may, ask }: { raft: Raft; peers: Peer[]; may: string[]; ask: (a: Action) => void }) {
  const head = Math.max(...peers.map((p) => p.last_index ?? 0));
  const transfer = (p: Peer): Action => ({
    title: `Let ${p.id} lead?`, verb: "Hand over", command: `vstack raft transfer --to ${p.id}`,
    text: `${raft.leader} hands over once ${p.id} has all that it has. Writes wait for a moment; nothing is lost.`, run: () => act("POST", "/v1/raft/transfer", { to: p.id }),
  });
  return (
    <Region label="Members">
      <table class="wide">
        <thead><tr><th>member</th><th>state</th><th>role</th><th class="n">term</th><th class="n">last in its log</th><th class="n">applied</th><th class="n">behind</th><th>follows</th><th>addresses</th>
          {may.includes("transfer") && <th><span class="hidden">actions</span></th>}</tr></thead>
        <tbody>{peers.map((p) => {
          const [tone, text] = standing(p);
          return (
            <tr key={p.id}>
              <td><b>{p.id}</b></td><td><Dot tone={tone} />{text}{p.detail && <div class="soft">{p.detail}</div>}</td>
              <td>{p.leader ? <Badge tone="good">leads</Badge> : p.voter ? "votes" : "learns"}</td>
              <td class="n">{p.term ?? "–"}</td><td class="n">{p.last_index ? count(p.last_index) : "–"}</td><td class="n">{p.applied ? count(p.applied) : "–"}</td>
              <td class="n">{p.reached && p.last_index ? count(head - p.last_index) : "–"}</td><td>{p.follows || "–"}</td><td><code>{p.api}</code> <code>{p.raft}</code></td>
              {may.includes("transfer") && <td class="acts">{p.reached && p.voter && !p.leader && <button class="small" onClick={() => ask(transfer(p))}>Let it lead</button>}</td>}
            </tr>
          );
        })}</tbody>
      </table>
    </Region>
  );
}

function standing(p: Peer): [Tone, string] {
  if (!p.reached) return ["bad", "does not answer"];
  if (p.standing && p.standing !== "member") return ["warn", p.standing];
  return ["good", p.state?.toLowerCase() || "member"];
}
