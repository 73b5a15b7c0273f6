// The smart client and a naive one play the same film from the same stores, in turn and
// again and again; what they say of it, side by side on one clock.
import { useEffect, useState } from "preact/hooks";
import { bytes, count, Films, get } from "./api";
import { Chart } from "./chart";
import { usePoll } from "./live";
import { act, Badge, Cmd, Empty, Failure, Loading, Meter, Region, Stat, useActions } from "./ui";

interface Share { store: string; host: string; addr: string; bytes: number; chunks: number; }
interface Run { startup: number; stalls: number; stall_time: number; p50: number; p95: number; bytes: number; hedges: number; retries: number; stores: Share[] | null; points: { at: number; buffer: number }[]; late?: string; }
interface Figure { name: string; unit: string; smart: number; naive: number; difference: number; low: number; high: number; pairs: number; }
interface Comparison {
  video: string; smart: string; naive: string; pairs: number; seconds: number; speed: number; links?: string; policies: string[]; kinds: { name: string; doc: string }[]; running: boolean; now: string; error?: string;
  runs: { smart: Run | null; naive: Run | null }[]; figures: Figure[];
}

export function ComparePage() {
  const may = useActions();
  const got = usePoll<Comparison>("/v1/compare", 500);
  if (got.error && !got.value) {
    return <><h1>Compare</h1><Empty title="Comparisons run in the console"><p>They read from the stores as a client does: run <code>vstack console</code> with your certificate and open its address.</p></Empty></>;
  }
  if (!got.value) return <Loading />;
  const c = got.value, last = c.runs.at(-1);
  return (
    <>
      <h1>Compare</h1>
      <p class="soft under">Two ways to choose stores play the beginning of one film from this cluster, in pairs, the first one taking turns, over the links that there are or over emulated ones. Break something meanwhile by a <a href="/drills">drill</a>.</p>
      <Start c={c} may={may} />
      {c.error && <Failure what="The comparison ended" why={c.error} />}
      {c.runs.length === 0 ? !c.running && <Empty title="Nothing compared yet"><p>Choose a film and begin.</p></Empty> : (
        <>
          <div class="row between"><h2>{c.running ? `Pair ${c.runs.length} of ${c.pairs}, ${c.now} plays` : `${c.runs.length} pair${c.runs.length > 1 ? "s" : ""}`}</h2><Export c={c} /></div>
          {c.running && <progress max={c.pairs * 2} value={c.runs.length * 2 - 2 + (last?.smart ? 1 : 0) + (last?.naive ? 1 : 0)} aria-label="Plays done" />}
          {c.links && <p class="soft">Over emulated links between this console and the stores: {c.kinds.find((k) => k.name === c.links)?.doc}. Each pair has links of its own, both of its plays the same.</p>}
          <Late c={c} />
          <Figures c={c} />
          <Clocks c={c} />
          <Shares c={c} />
        </>
      )}
    </>
  );
}

// Late says which pairs count for nothing, because the machine could not keep the links' times.
function Late({ c }: { c: Comparison }) {
  const late = c.runs.flatMap((r) => r.smart?.late ?? r.naive?.late ?? []);
  return late.length ? <div class="card notice warn" role="status">{late.length} of {c.runs.length} pairs count for nothing: {late[0]}.</div> : null;
}

function Start({ c, may }: { c: Comparison; may: string[] }) {
  const [films, setFilms] = useState<Films>();
  const [video, setVideo] = useState(location.pathname.split("/")[2] ?? "");
  const [pairs, setPairs] = useState(5);
  const [seconds, setSeconds] = useState(20);
  const [speed, setSpeed] = useState(4);
  const [smart, setSmart] = useState("");
  const [naive, setNaive] = useState("round-robin");
  const [links, setLinks] = useState("");
  const [failed, setFailed] = useState("");
  useEffect(() => void get<Films>("/v1/videos?limit=100").then(setFilms, () => undefined), []);
  if (!may.includes("compare")) return null;
  const chosen = video || films?.items[0]?.id || "";
  const done = (p: Promise<string>) => p.then(() => setFailed(""), (e: Error) => setFailed(e.message));
  const begin = () => done(act("POST", "/v1/compare", { video: chosen, smart: smart || c.policies[0], naive, pairs, seconds, speed, links }));
  // Links of some rate are for a film of its own pace.
  const over = (kind: string) => { setLinks(kind); if (kind) { setSpeed(1); setSeconds((s) => Math.max(s, 40)); } };
  const listed = films?.items.some((f) => f.id === chosen);
  return (
    <div class="card sandbox">
      <div class="row">
        <label class="wide">Film <select value={chosen} onChange={(e) => setVideo(e.currentTarget.value)}>
          {!listed && chosen && <option value={chosen}>{chosen}</option>}
          {films?.items.map((f) => <option key={f.id} value={f.id}>{f.title}</option>)}</select></label>
        <label>smart <select value={smart || c.policies[0]} onChange={(e) => setSmart(e.currentTarget.value)}>{c.policies.map((p) => <option key={p}>{p}</option>)}</select></label>
        <label>naive <select value={naive} onChange={(e) => setNaive(e.currentTarget.value)}>{c.policies.map((p) => <option key={p}>{p}</option>)}</select></label>
      </div>
      {c.kinds.length > 0 && <div class="row">
        <label class="wide">Links <select value={links} onChange={(e) => over(e.currentTarget.value)}>
          <option value="">those that there are</option>{c.kinds.map((k) => <option key={k.name} value={k.name}>{k.name}: {k.doc}</option>)}</select></label>
      </div>}
      <div class="row">
        <label>pairs <input type="number" min="1" max="20" value={pairs} onChange={(e) => setPairs(e.currentTarget.valueAsNumber || 1)} /></label>
        <label>seconds of film <input type="number" min="1" max="120" value={seconds} onChange={(e) => setSeconds(e.currentTarget.valueAsNumber || 1)} /></label>
        <label>speed <input type="number" min="1" max="16" value={speed} onChange={(e) => setSpeed(e.currentTarget.valueAsNumber || 1)} /></label>
        <span class="soft">about {Math.ceil((2 * pairs * seconds) / speed)} s</span>
        {c.running ? <button onClick={() => void done(act("DELETE", "/v1/compare"))}>Stop</button> : <button class="main" disabled={!chosen} onClick={() => void begin()}>Compare</button>}
      </div>
      {failed && <p class="bad" role="alert">{failed}</p>}
      <Cmd text={links ? `vstack bench run playback --links ${links} --policy ${smart || c.policies[0]},${naive}` : `vstack video play ${chosen || "VIDEO"} --policy ${naive} --speed ${speed}`} />
    </div>
  );
}

const shown = (v: number, unit: string) => (unit === "s" ? (Math.abs(v) < 1 ? `${(v * 1000).toFixed(0)} ms` : `${v.toFixed(2)} s`) : v.toFixed(1));

// Figures says what is certain: an interval that does not hold zero.
function Figures({ c }: { c: Comparison }) {
  const first = c.figures[0];
  if (!first) return null;
  return (
    <>
      <div class="stats-row">
        {c.figures.slice(0, 2).map((f) => <Stat key={f.name} label={`${f.name}: ${c.smart}`} value={shown(f.smart, f.unit)} note={`${c.naive}: ${shown(f.naive, f.unit)}`} />)}
        <Stat label="Hedges" value={count(c.runs.reduce((n, r) => n + (r.smart?.hedges ?? 0), 0))} note={`requests of ${c.smart} beside one that was late`} />
      </div>
      <Region label="Figures">
        <table>
          <thead><tr><th>figure</th><th class="n">{c.smart}</th><th class="n">{c.naive}</th><th class="n">naive − smart</th><th>95 % interval</th><th>says</th></tr></thead>
          <tbody>{c.figures.map((f) => (
            <tr key={f.name}><td>{f.name}</td><td class="n">{shown(f.smart, f.unit)}</td><td class="n">{shown(f.naive, f.unit)}</td><td class="n">{shown(f.difference, f.unit)}</td>
              <td>{f.pairs > 1 ? `${shown(f.low, f.unit)} to ${shown(f.high, f.unit)}` : "wants two pairs"}</td>
              <td>{f.pairs < 2 ? "" : f.low > 0 ? <Badge tone="good">smart is better</Badge> : f.high < 0 ? <Badge tone="bad">naive is better</Badge> : <Badge>no difference seen</Badge>}</td></tr>
          ))}</tbody>
        </table>
      </Region>
    </>
  );
}

// Clocks draws the buffers of the last pair that was played whole, on one clock.
function Clocks({ c }: { c: Comparison }) {
  const pair = [...c.runs].reverse().find((r) => r.smart && r.naive) ?? c.runs.at(-1);
  const lines = [["smart", c.smart, pair?.smart] as const, ["naive", c.naive, pair?.naive] as const].filter(([, , r]) => r)
    .map(([kind, name, r]) => ({ name: `${kind}, ${name}`, values: everyFifth(r!.points) }));
  if (!lines.length) return null;
  const longest = Math.max(...lines.map((l) => l.values.length));
  const level = lines.map((l) => ({ ...l, values: [...l.values, ...Array<null>(longest - l.values.length).fill(null)] }));
  return <div class="charts"><Chart title="Buffer, seconds ahead, since the start" lines={level} step={0.2} show={(n) => (n >= 0 ? n.toFixed(1) + " s" : "–")} forward /></div>;
}

// everyFifth puts a play's points on a clock that ticks every 0.2 s.
function everyFifth(points: { at: number; buffer: number }[]): (number | null)[] {
  const out: (number | null)[] = [];
  let i = 0;
  for (let t = 0; t <= (points.at(-1)?.at ?? 0); t += 0.2) {
    while (i + 1 < points.length && points[i + 1]!.at <= t) i++;
    out.push(points[i]?.buffer ?? null);
  }
  return out;
}

function Shares({ c }: { c: Comparison }) {
  const rows = new Map<string, { name: string; smart: number; naive: number }>();
  for (const r of c.runs) {
    for (const kind of ["smart", "naive"] as const) {
      for (const s of r[kind]?.stores ?? []) {
        const row = rows.get(s.store) ?? { name: s.host ? `${s.host} ${s.addr}` : s.store, smart: 0, naive: 0 };
        row[kind] += s.bytes;
        rows.set(s.store, row);
      }
    }
  }
  const most = Math.max(1, ...[...rows.values()].flatMap((r) => [r.smart, r.naive]));
  return (
    <>
      <h2>Bytes by store</h2>
      <Region label="Bytes by store">
        <table>
          <thead><tr><th>store</th><th>{c.smart}</th><th>{c.naive}</th></tr></thead>
          <tbody>{[...rows].sort((a, b) => a[1].name.localeCompare(b[1].name)).map(([id, r]) => (
            <tr key={id}><td>{r.name}</td>{(["smart", "naive"] as const).map((k) => <td key={k}><Meter value={r[k]} max={most * 1.2} label={`${k} from ${r.name}`} />{bytes(r[k])}</td>)}</tr>
          ))}</tbody>
        </table>
      </Region>
    </>
  );
}

function Export({ c }: { c: Comparison }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(c, null, 2)], { type: "application/json" }));
    const a = Object.assign(document.createElement("a"), { href: url, download: `compare-${c.video.slice(-6)}.json` });
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  return <button onClick={save} disabled={c.running}>Save as JSON</button>;
}
