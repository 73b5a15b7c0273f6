// Drills: the cluster is broken on purpose, under load, and what clients noticed stands beside
// what was done.
import { useEffect, useRef, useState } from "preact/hooks";
import { Chart } from "./chart";
import { usePoll } from "./live";
import { act, Action, Badge, Cmd, Empty, Failure, Loading, Region, Stat, useActions, useConfirm } from "./ui";

interface Drill { name: string; doc: string; lacks?: string; }
interface Verdict { expr: string; value: number | null; held: boolean; }
interface Timing { name: string; doc?: string; count: number; p50: number; p90: number; p99: number; max: number; }
interface Counter { name: string; doc?: string; value: number; }
interface Repetition { n: number; victims: string[] | null; leader_gap?: number; first_write?: number; write_gap?: number; heal?: number; acks?: number[]; }
interface Report { took: number; verdicts: Verdict[]; timings: Timing[]; counters: Counter[]; repetitions: Repetition[]; failures: string[]; notes: string[]; }
interface Run {
  name: string; repeat: number; pause: number; loads: string[]; command: string; running: boolean; stopping: boolean; started: string;
  lines: { at: number; text: string }[]; error?: string; report?: Report;
}
interface Drills { items: Drill[]; run?: Run; }

const loads = ["meta", "upload", "play"] as const;
const does: Record<string, string> = { meta: "catalog writes and reads", upload: "uploads", play: "viewers" };

export function DrillsPage() {
  const may = useActions();
  const got = usePoll<Drills>(may.includes("drill") ? "/v1/drills" : undefined, 500);
  if (!may.includes("drill")) {
    return (
      <><h1>Drills</h1><Empty title="No hands on this cluster's hosts">
        <p>A drill kills, stops and cuts off hosts, so it wants the commands that do this: <code>vstack demo</code> has them, and a console that is given a file of them.</p>
        <Cmd text="vstack console --hosts hosts.yaml" /></Empty></>
    );
  }
  if (!got.value) return got.error ? <><h1>Drills</h1><Failure what="The console does not answer" why={got.error} /></> : <Loading />;
  const { items, run } = got.value;
  return (
    <>
      <h1>Drills</h1>
      <p class="soft under">One fault after the other, while clients write, upload and play. Nothing that was acknowledged may be lost, and what plays must go on.</p>
      <Begin items={items} run={run} />
      {run && <Told run={run} />}
    </>
  );
}

function Begin({ items, run }: { items: Drill[]; run: Run | undefined }) {
  const [name, setName] = useState("");
  const [repeat, setRepeat] = useState(1);
  const [pause, setPause] = useState(0);
  const [on, setOn] = useState<string[]>([...loads]);
  const [ask, dialog] = useConfirm();
  const [failed, setFailed] = useState("");
  const chosen = items.find((d) => d.name === name) ?? items[0];
  if (!chosen) return null;
  const action: Action = {
    title: `Do ${chosen.name}?`, verb: "Break it", danger: true, command: `vstack drill run ${chosen.name} --hosts FILE --repeat ${repeat} --load ${on.join(",") || "none"}${pause ? ` --pause ${pause}s` : ""} --yes`,
    text: <>{chosen.doc}. {on.length > 0 && <>Meanwhile: {on.map((l) => does[l]).join(", ")}; what they store is removed at the end. </>}Whoever uses this cluster notices it, too.</>,
    run: () => act("POST", "/v1/drills", { name: chosen.name, repeat, loads: on, pause }),
  };
  const stop = () => void act("DELETE", "/v1/drills").then(() => setFailed(""), (e: Error) => setFailed(e.message));
  return (
    <div class="card sandbox">
      <div class="row">
        <label class="wide">Drill <select value={chosen.name} disabled={run?.running} onChange={(e) => setName(e.currentTarget.value)}>
          {items.map((d) => <option key={d.name} value={d.name}>{d.name}{d.lacks ? " (not here)" : ""}</option>)}</select></label>
        <label>faults <input type="number" min="1" max="20" value={repeat} onChange={(e) => setRepeat(Math.min(20, Math.max(1, e.currentTarget.valueAsNumber || 1)))} /></label>
        <label>seconds each <input type="number" min="0" max="60" value={pause || ""} placeholder="its own" onChange={(e) => setPause(Math.min(60, Math.max(0, e.currentTarget.valueAsNumber || 0)))} /></label>
        {loads.map((l) => <label key={l}><input type="checkbox" checked={on.includes(l)} onChange={(e) => setOn(e.currentTarget.checked ? [...on, l] : on.filter((x) => x !== l))} />{does[l]}</label>)}
        {run?.running ? <button onClick={stop} disabled={run.stopping}>{run.stopping ? "Mending…" : "Stop"}</button>
          : <button class="danger" disabled={!!chosen.lacks} onClick={() => ask(action)}>Begin…</button>}
      </div>
      <p class="soft">{chosen.doc}.{chosen.lacks && <> Not here: {chosen.lacks}.</>}</p>
      {failed && <p class="bad" role="alert">{failed}</p>}
      {dialog}
    </div>
  );
}

function Told({ run }: { run: Run }) {
  const end = useRef<HTMLLIElement>(null);
  const count = run.lines.length;
  useEffect(() => { if (run.running) end.current?.scrollIntoView({ block: "nearest" }); }, [count, run.running]);
  const r = run.report, missed = r?.verdicts.filter((v) => !v.held).length ?? 0;
  return (
    <>
      <div class="row between">
        <h2>{run.name} {run.running ? <Badge tone="warn">{run.stopping ? "mending" : "runs"}</Badge> : run.error ? <Badge tone="bad">ended early</Badge> : !r ? <Badge>stopped</Badge> : missed ? <Badge tone="bad">{missed} missed</Badge> : <Badge tone="good">every bound held</Badge>}</h2>
        {r && <a href="/v1/drills/report" download>Save the report</a>}
      </div>
      {run.error && <Failure what="The drill ended" why={run.error} />}
      {r && <Verdicts r={r} />}
      <h2>What happened</h2>
      <div class="card scroll log" tabIndex={0} role="log" aria-label="What happened">
        <ol>{run.lines.map((l, i) => <li key={i} ref={i === count - 1 ? end : undefined}><span class="soft">{l.at.toFixed(1)} s</span> {l.text}</li>)}</ol>
      </div>
      <Cmd text={run.command} />
    </>
  );
}

const seconds = (v: number | undefined | null) => (v === undefined || v === null ? "–" : v < 1 ? `${Math.round(v * 1000)} ms` : `${v.toFixed(2)} s`);

function Verdicts({ r }: { r: Report }) {
  const most = (name: string) => r.timings.find((t) => t.name === name && t.count > 0)?.max;
  const counted = (name: string) => r.counters.find((c) => c.name === name)?.value;
  const stalls = counted("stalls"), lost = (counted("lost_writes") ?? 0) + (counted("lost_publishes") ?? 0);
  return (
    <>
      <div class="stats-row">
        <Stat label="Another leads after" value={seconds(most("leader_gap"))} note="at most" />
        <Stat label="Longest time without a write" value={seconds(most("write_gap"))} note="that was acknowledged" />
        <Stat label="All well again after" value={seconds(most("heal"))} note="every store up" />
        <Stat label="Lost" value={lost} tone={lost ? "bad" : ""} note="acknowledged writes and films" />
        {stalls !== undefined && <Stat label="Stalls of viewers" value={stalls} tone={stalls ? "warn" : ""} note={`${counted("plays") ?? 0} plays`} />}
      </div>
      <Gaps r={r} />
      <Region label="Bounds">
        <table>
          <thead><tr><th>bound</th><th class="n">measured</th><th></th></tr></thead>
          <tbody>{r.verdicts.map((v) => (
            <tr key={v.expr}><td><code>{v.expr}</code></td><td class="n">{v.value === null ? "nothing" : v.expr.includes(".") ? seconds(v.value) : v.value}</td>
              <td><Badge tone={v.held ? "good" : "bad"}>{v.held ? "held" : "missed"}</Badge></td></tr>
          ))}</tbody>
        </table>
      </Region>
      {r.failures.length > 0 && <Failure what="What must not have happened" why={r.failures.slice(0, 10).join(" · ")} />}
    </>
  );
}

// Gaps draws the acknowledged writes around each fault, by slices of 50 ms.
function Gaps({ r }: { r: Report }) {
  const drawn = r.repetitions.filter((x) => (x.acks?.length ?? 0) > 0).slice(0, 6);
  return (
    <div class="charts">
      {drawn.map((x) => (
        <Chart key={x.n} forward title={`${["Fault " + x.n, ...(x.victims ?? [])].join(", ")}, 0.5 s from the left: ${seconds(x.write_gap)} without a write`}
          lines={[{ name: "writes in 50 ms", values: x.acks!.slice(0, 400) }]} step={0.05} area show={(n) => (n >= 0 ? n.toFixed(0) : "–")} />
      ))}
    </div>
  );
}
