// Films in: dropped or chosen, sent by tus so that a cut connection goes on where it
// stopped, then followed until they are published.
import { useRef, useState } from "preact/hooks";
import { DetailedError, Upload as Tus } from "tus-js-client";
import { ago, bytes, clock, count } from "./api";
import { usePoll } from "./live";
import { act, Action, Badge, Cmd, Empty, Failure, Loading, Tone, useConfirm } from "./ui";

interface Sending { key: number; name: string; size: number; sent: number; began: number; from: number; state: "sending" | "paused" | "received" | "failed"; error?: string; upload?: Tus; }
interface Job {
  id: string; received?: number; source: { size: number }; upload_id: string; video_id: string; title: string; state: string; started: string; updated: string; position: number; duration: number; speed: number;
  chunks: number; reused: number; bytes: number; warnings?: string[]; error?: { detail?: string; code?: string; hint?: string };
}

let keys = 0;
let kept = ""; // a ticket, for as long as the tab shows these pages: it is in no address and on no disk

// carriedTicket takes a ticket out of the page's address, where a link had it.
function carriedTicket(): string {
  const q = new URLSearchParams(location.search), got = q.get("ticket");
  if (got) {
    kept = got;
    q.delete("ticket");
    history.replaceState(null, "", location.pathname + (q.size ? "?" + q : "") + location.hash);
  }
  return kept;
}

const headersOf = (ticket: string): Record<string, string> => (ticket ? { Authorization: "Bearer " + ticket } : {});

// refusal is what the server said of a request that it refused, and whether it wants to know who asks.
function refusal(e: Error): { error: string; closed: boolean } {
  const answer = e instanceof DetailedError ? e.originalResponse : undefined;
  if (!answer) return { error: e.message, closed: false };
  let said = e.message;
  try {
    const p = JSON.parse(answer.getBody()) as { detail?: string; title?: string };
    said = p.detail ?? p.title ?? said;
  } catch { /* no problem of ours, but of something between */ }
  return { error: said, closed: answer.getStatus() === 401 };
}

const ended = ["published", "failed", "canceled"];
const tones: Record<string, Tone> = { published: "good", failed: "bad", interrupted: "warn", canceled: "" };

export function UploadPage() {
  const [list, setList] = useState<Sending[]>([]);
  const [over, setOver] = useState(false);
  const [seen, setSeen] = useState("public");
  const [ticket, setTicket] = useState(carriedTicket);
  const [closed, setClosed] = useState(ticket !== "");
  const jobs = usePoll<{ items: Job[] | null }>("/v1/jobs", 1000);
  const pick = useRef<HTMLInputElement>(null);
  const [ask, dialog] = useConfirm();

  const change = (one: Sending, by: Partial<Sending>) => {
    Object.assign(one, by);
    setList((l) => [...l]);
  };
  const send = (files: Iterable<File>) => {
    for (const file of files) {
      const one: Sending = { key: keys++, name: file.name, size: file.size, sent: 0, from: -1, began: Date.now(), state: "sending" };
      one.upload = new Tus(file, {
        // Another visibility is another upload: one that was begun stays what it was.
        fingerprint: (f) => Promise.resolve(["vstack", f instanceof File ? f.name : "", f.size, f instanceof File ? f.lastModified : "", seen].join("/")),
        endpoint: "/files", retryDelays: [0, 500, 1000, 2000, 4000, 8000, 16000, 32000], chunkSize: 32 << 20,
        metadata: { filename: file.name, title: file.name.replace(/\.[^.]+$/, ""), ...(seen === "public" ? {} : { visibility: seen }) },
        onProgress: (sent) => change(one, { sent, from: one.from < 0 ? sent : one.from }),
        onSuccess: () => change(one, { sent: one.size, state: "received" }),
        headers: headersOf(kept),
        onError: (e) => {
          const r = refusal(e);
          if (r.closed) setClosed(true);
          change(one, { state: "failed", error: r.error });
        },
      });
      setList((l) => [one, ...l]);
      one.upload.findPreviousUploads().then((earlier) => {
        if (earlier[0]) one.upload!.resumeFromPreviousUpload(earlier[0]);
        one.upload!.start();
      }, () => one.upload!.start());
    }
  };
  const cancel = (j: Job): Action => ({
    title: `Cancel “${j.title}”?`, verb: "Cancel it", danger: true, command: `vstack video cancel ${j.upload_id}`, text: "Nothing of it is kept.",
    run: () => act("DELETE", "/v1/jobs/" + j.upload_id),
  });

  if (jobs.error && !jobs.value) {
    return (
      <><h1>Upload</h1><Empty title="Uploads are not open here">
        <p>Run <code>vstack console</code> with your certificate and open its address, or <code>vstack video upload FILE</code>.</p></Empty></>
    );
  }
  if (!jobs.value) return <Loading />;
  return (
    <>
      <h1>Upload</h1>
      {jobs.error && <Failure what="The uploaders do not answer" why={jobs.error} next="What is on its way is tried again." />}
      <div class={over ? "drop over" : "drop"}
        onDragOver={(e) => { e.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)}
        onDrop={(e) => { e.preventDefault(); setOver(false); send(e.dataTransfer?.files ?? []); }}>
        <svg viewBox="0 0 24 24" width="40" height="40" aria-hidden="true"><path d="M12 16V5M7 10l5-5 5 5M5 19h14" /></svg>
        <p><b>Drop films here</b>, or</p>
        <button class="main" onClick={() => pick.current!.click()}>Choose files</button>
        <input ref={pick} type="file" multiple hidden aria-label="Films" onChange={(e) => { send(e.currentTarget.files ?? []); e.currentTarget.value = ""; }} />
        <p><label>Who may watch <select value={seen} onChange={(e) => setSeen(e.currentTarget.value)}>
          <option value="public">everybody</option><option value="unlisted">who has the address</option><option value="private">who has a token</option>
        </select></label></p>
        <details class="ticket" open={closed} onToggle={(e) => setClosed(e.currentTarget.open)}>
          <summary>With a ticket</summary>
          <p><label>Ticket or API key <input type="password" autocomplete="off" spellcheck={false} value={ticket} onInput={(e) => setTicket((kept = e.currentTarget.value.trim()))} /></label></p>
          <p class="soft">Where uploads are closed to you: an administrator makes one by <code>vstack tickets new</code>. Each file takes a use of it.</p>
        </details>
        <p class="soft">Anything that FFmpeg reads. A cut connection goes on where it stopped, also after this page was closed: choose the same file again.</p>
      </div>
      <Cmd text={`vstack video upload ${list[0]?.name.includes(" ") ? `'${list[0].name}'` : (list[0]?.name ?? "FILE")}${seen === "public" ? "" : ` --visibility ${seen}`}${ticket ? " --ticket TICKET" : ""}`} />
      {list.length > 0 && <h2>On the way</h2>}
      <ul class="jobs">
        {list.map((s) => <Sent key={s.key} s={s} change={(by) => change(s, by)} />)}
      </ul>
      {(jobs.value.items?.length ?? 0) > 0 && <h2>Jobs</h2>}
      <ul class="jobs">
        {(jobs.value.items ?? []).slice(0, 50).map((j) => <JobRow key={j.id} j={j} cancel={() => ask(cancel(j))} />)}
      </ul>
      {dialog}
    </>
  );
}

function Sent({ s, change }: { s: Sending; change: (by: Partial<Sending>) => void }) {
  const pause = () => void s.upload!.abort().then(() => change({ state: "paused" }));
  const resume = () => { change({ state: "sending", began: Date.now(), from: -1, error: "" }); s.upload!.options.headers = headersOf(kept); s.upload!.start(); };
  const speed = (s.sent - Math.max(0, s.from)) / Math.max(1, (Date.now() - s.began) / 1000);
  const left = speed > 0 ? (s.size - s.sent) / speed : 0;
  return (
    <li class={s.state === "failed" ? "card error" : "card"}>
      <div class="row between">
        <span><b>{s.name}</b> <span class="soft">{bytes(s.sent)} of {bytes(s.size)}{s.state === "sending" && left > 1 ? `, ${bytes(speed)}/s, ${clock(left)} left` : ""}</span></span>
        <span><Badge tone={s.state === "received" ? "good" : s.state === "failed" ? "bad" : ""}>{s.state}</Badge>
          {s.state === "sending" && <button class="small" onClick={pause}>Pause</button>}
          {(s.state === "paused" || s.state === "failed") && <button class="small" onClick={resume}>Go on</button>}</span>
      </div>
      <progress max={s.size || 1} value={s.sent} aria-label={"Sent of " + s.name} />
      {s.error && <p class="bad" role="alert">{s.error}</p>}
    </li>
  );
}

function JobRow({ j, cancel }: { j: Job; cancel: () => void }) {
  const done = ended.includes(j.state), arrives = j.state === "receiving", here = j.received ?? 0;
  return (
    <li class={j.state === "failed" ? "card error" : "card"}>
      <div class="row between">
        <span>{j.state === "published" ? <a href={"/watch/" + j.video_id}><b>{j.title || j.video_id}</b></a> : <b>{j.title || j.video_id}</b>}{" "}
          <span class="soft">{arrives && <>{bytes(here)} of {j.source.size ? bytes(j.source.size) : "who knows how much"} here, </>}{count(j.chunks)} chunks{j.reused ? `, ${count(j.reused)} of them found` : ""}, {bytes(j.bytes)}{!done && j.speed > 0 ? `, ${j.speed.toFixed(1)} × its own time` : ""} · {ago(j.updated)}</span></span>
        <span><Badge tone={tones[j.state] ?? ""}>{j.state}</Badge>{!done && !arrives && <button class="small" onClick={cancel}>Cancel</button>}</span>
      </div>
      {arrives ? j.source.size > 0 && <progress max={j.source.size} value={here} aria-label={`Arrived of ${j.title}: ${bytes(here)} of ${bytes(j.source.size)}`} />
        : !done && <progress max={j.duration || 1} value={j.position} aria-label={`Cut of ${j.title}: ${clock(j.position)} of ${clock(j.duration)}`} />}
      {j.warnings?.map((w) => <p class="soft" key={w}>{w}</p>)}
      {j.error?.detail && <p class="bad" role="alert">{j.error.detail}{j.error.hint ? ` – ${j.error.hint}` : ""}</p>}
    </li>
  );
}
