// The cluster at a glance: is it well, what may fail, is there room, what goes on.
import { useEffect, useRef, useState } from "preact/hooks";
import { ago, bytes, count, Node, Nodes, NodeStore, Raft, Redundancy, RedundancyPolicy, Series } from "./api";
import { Chart } from "./chart";
import { judge, storesOf, sum } from "./health";
import { usePoll, useStream, useTopic } from "./live";
import { act, Badge, Dot, Failure, Loading, Meter, Segments, Stat, Tone, useActions, useConfirm, useQuery } from "./ui";

const spans = ["10m", "2h", "24h"] as const;

export function OverviewPage() {
  const nodes = useTopic("nodes"), raft = useTopic("raft"), stream = useStream();
  const [asked, setSpan] = useQuery("span");
  const span = spans.find((s) => s === asked) ?? "10m";
  const past = usePoll<Series>("/v1/history?span=" + span, span === "10m" ? 2000 : 30000);
  const events = useEvents(nodes, raft);
  if (!nodes || !raft) return stream === "lost" ? <Failure what="The server does not answer" why="The page tries again by itself." next={<>Is <code>vstack console</code> still running?</>} /> : <Loading />;
  const health = judge(nodes, raft, stream);
  const stores = storesOf(nodes);
  const lines = (name: string, key: string) => [{ name, values: past.value?.values[key] ?? [] }];
  return (
    <>
      <h1>Overview</h1>
      {health.more.length > 0 && <div class={"card notice " + health.tone}><b>Also</b><ul>{health.more.map((m) => <li key={m}>{m}</li>)}</ul></div>}
      {nodes.error && <Failure what="The hosts are not known" why={nodes.error} next={<>Ask a member itself: <code>vstack raft status</code></>} />}
      <Figures stores={stores} known={!nodes.error} raft={raft} />
      <Lie />
      <div class="row between"><h2>Hosts</h2><a href="/stores">All figures</a></div>
      {nodes.items?.length ? <div class="hosts">{nodes.items.map((n) => <Host key={n.host} node={n} leader={raft.leader === n.host} />)}</div>
        : <div class="card empty">{nodes.error ? "The hosts are not known." : "No host has registered yet."}</div>}
      <div class="row between"><h2>What goes on</h2><Segments label="Time shown" of={spans} value={span} set={setSpan} /></div>
      {past.error && <p class="soft" role="status">History: {past.error}</p>}
      <div class="charts">
        <Chart title="Read from stores" lines={lines("bytes a second", "read")} step={past.value?.step ?? 2} show={(n) => rate(n)} area />
        <Chart title="Requests" lines={[...lines("reads", "reads"), ...lines("chunks stored", "writes")]} step={past.value?.step ?? 2} show={(n) => each(n)} />
        <Chart title="Copies on the way" lines={lines("missing", "missing")} step={past.value?.step ?? 2} show={whole} area />
        <Chart title="Players" lines={lines("playing", "sessions")} step={past.value?.step ?? 2} show={whole} area />
      </div>
      <h2>Since this page was opened</h2>
      {events.length === 0 ? <p class="soft">Nothing has changed.</p>
        : <ol class="card events">{events.map((e) => <li key={e.id}><time>{e.at}</time> <Dot tone={e.tone} />{e.text}</li>)}</ol>}
    </>
  );
}

export const rate = (n: number) => (n >= 0 ? bytes(n) + "/s" : "–");
const each = (n: number) => (n >= 0 ? (n < 10 ? n.toFixed(1) : count(Math.round(n))) + "/s" : "–");
const whole = (n: number) => (n >= 0 ? count(Math.round(n)) : "–");

function Figures({ stores, known, raft }: { stores: NodeStore[]; known: boolean; raft: Raft }) {
  const up = stores.filter((s) => s.state === "up").length;
  const used = sum(stores, (s) => s.report?.used), capacity = sum(stores, (s) => s.capacity);
  const missing = sum(stores, (s) => s.report?.missing), corrupt = sum(stores, (s) => s.report?.corrupt);
  const leaving = stores.filter((s) => s.leaving).length;
  return (
    <div class="stats-row">
      <Stat label="Stores up" value={known ? <>{up}<small> of {stores.length}</small></> : "–"} tone={up < stores.length ? "warn" : ""} note={!known ? "not known" : leaving ? `${leaving} being emptied` : stores.length ? "all keep their roles" : "none has registered"} />
      <Stat label="Catalog may lose" value={raft.leader ? <>{raft.can_fail}<small> more member{raft.can_fail === 1 ? "" : "s"}</small></> : "no quorum"}
        tone={!raft.leader ? "bad" : raft.can_fail < 1 ? "warn" : ""} note={raft.leader ? <>led by {raft.leader}, term {raft.term}</> : "two of three members have to answer"} />
      <Stat label="Repair" value={!known || !stores.length ? "–" : missing + corrupt === 0 ? "done" : count(missing + corrupt)} tone={corrupt ? "bad" : missing ? "warn" : ""}
        note={!known || !stores.length ? "no store reports" : missing + corrupt === 0 ? "every store has its part" : `${count(missing)} missing, ${count(corrupt)} damaged`} />
      <Stat label="Stored" value={known ? bytes(used) : "–"} note={<><Meter value={used} max={capacity} label="Capacity used" />{bytes(capacity)} in all, {count(sum(stores, (s) => s.report?.chunks))} chunks and fragments</>} />
    </div>
  );
}

const classes = ["hot", "cooling", "cold", "warming"] as const;

// Lie is how all films lie together: what the worst of them bears, and who is on the way where.
function Lie() {
  const got = usePoll<Redundancy>("/v1/redundancy", 3000);
  const r = got.value;
  if (!r || !r.videos) return null;
  const all = Math.max(1, classes.reduce((n, c) => n + (r.classes?.[c]?.bytes ?? 0), 0));
  let x = 0;
  return (
    <section class="card films-lie" aria-label="How all films lie">
      <div class="row between">
        <b>{r.bears ? (r.bears.hosts < 0 ? "A film cannot be read whole now" : r.bears.hosts === 0 ? "Some film bears the loss of no host" : `Any ${r.bears.hosts === 1 ? "host" : r.bears.hosts + " hosts"} may fail, and every film plays on`) : "What films bear is not known yet"}</b>
        <span>{r.below > 0 && <Badge tone="warn">{count(r.below)} below the policy</Badge>}{r.unproven > 0 && <Badge tone="warn">{count(r.unproven)} not proven</Badge>}
          {r.moving > 0 && <Badge>{count(r.moving)} moving</Badge>}{r.paused && <Badge tone="warn">moves are paused</Badge>}{r.behind && <Badge>not all looked at</Badge>}</span>
      </div>
      <svg class="strip" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        {classes.map((c, i) => {
          const w = (100 * (r.classes?.[c]?.bytes ?? 0)) / all, at = x;
          x += w;
          return <rect key={c} class={"s" + i} x={at} y="0" width={w} height="1" />;
        })}
      </svg>
      <div class="soft">{classes.filter((c) => r.classes?.[c]?.videos).map((c) => <span class="part" key={c}><span class={"key s" + classes.indexOf(c)} />{count(r.classes![c]!.videos)} {c}, {bytes(r.classes![c]!.bytes)}</span>)}
        {r.waiting?.[0] && <span class="part">{count(r.waits)} wait: {r.waiting[0].why}</span>} <code>vstack redundancy status</code></div>
      <Decide r={r} />
    </section>
  );
}

// Decide is what an administrator may say about how films lie.
function Decide({ r }: { r: Redundancy }) {
  const may = useActions().includes("redundancy");
  const [ask, dialog] = useConfirm();
  const draft = useRef<RedundancyPolicy>(r.policy);
  if (!may) return null;
  const pause = (paused: boolean) => ask({
    title: paused ? "Pause the moves of films?" : "Let films move again?", verb: paused ? "Pause" : "Resume", command: "vstack redundancy " + (paused ? "pause" : "resume"),
    text: paused ? "No film changes between copies and fragments. Repair goes on." : "Films change between copies and fragments as the policy says.",
    run: () => act("PUT", "/v1/redundancy", { paused }),
  });
  const edit = () => {
    draft.current = { ...r.policy };
    ask({
      title: "The policy of redundancy", verb: "Set it", command: "vstack redundancy policy --warm-above N --cool-below N --min-hosts-can-fail N",
      text: <Policy draft={draft.current} />, run: () => act("PUT", "/v1/redundancy", { policy: draft.current }),
    });
  };
  return (
    <div class="row">
      <button class="small" onClick={() => pause(!r.paused)}>{r.paused ? "Resume moves" : "Pause moves"}</button>
      <button class="small" onClick={edit}>Policy…</button>
      {dialog}
    </div>
  );
}

// Policy edits what most people change of it; the command line has all.
function Policy({ draft }: { draft: RedundancyPolicy }) {
  const number = (name: "warm_above" | "cool_below" | "min_hosts_can_fail", label: string) => (
    <label>{label} <input type="number" min="0" value={draft[name]} onInput={(e) => { draft[name] = e.currentTarget.valueAsNumber; }} /></label>
  );
  return (
    <div class="form">
      <label><input type="checkbox" checked={draft.auto} onChange={(e) => { draft.auto = e.currentTarget.checked; }} /> Views decide about films that nobody pinned</label>
      {number("warm_above", "Copies above a popularity of")}
      {number("cool_below", "Fragments below")}
      {number("min_hosts_can_fail", "Hosts whose loss every cold film must bear")}
    </div>
  );
}

function Host({ node, leader }: { node: Node; leader: boolean }) {
  return (
    <section class="card host" aria-label={"Host " + node.host}>
      <div class="row between"><b><Dot tone={toneOf(node.state)} />{node.host}</b>{leader ? <Badge tone="good">leads the catalog</Badge> : <span class="soft">{node.state === "up" ? "" : "seen " + ago(node.last_seen)}</span>}</div>
      {(node.stores ?? []).map((s) => (
        <a class="store" key={s.id} href={"/stores#" + s.id}>
          <span><Dot tone={toneOf(s.state)} />{s.addr}</span>
          <span class="soft">{note(s)}</span>
          <Meter value={s.report?.used ?? 0} max={s.capacity} label={`Used of ${s.addr}`} />
        </a>
      ))}
    </section>
  );
}

export function toneOf(state: string): Tone {
  return state === "up" ? "good" : state === "suspect" ? "warn" : "bad";
}

// note is what matters most about a store.
export function note(s: NodeStore): string {
  const r = s.report;
  if (s.state !== "up") return s.state;
  if (s.leaving) return "being emptied";
  if (r?.mute) return "does not vote";
  if (r?.full) return "full";
  if (r?.corrupt) return `${count(r.corrupt)} damaged`;
  if (r?.missing) return `${count(r.missing)} missing`;
  return r ? bytes(r.used) : "no report";
}

interface Happened { id: number; at: string; tone: Tone; text: string; }

// useEvents tells what changed between two values: the newest first, at most fifty.
function useEvents(nodes: Nodes | undefined, raft: Raft | undefined): Happened[] {
  const [list, set] = useState<Happened[]>([]);
  const was = useRef<{ stores?: Map<string, NodeStore>; leader?: string; next: number }>({ next: 0 });
  useEffect(() => {
    const now = new Map(storesOf(nodes).map((s) => [s.id, s]));
    const found: [Tone, string][] = [];
    if (nodes?.items && was.current.stores) {
      for (const [id, s] of now) {
        const before = was.current.stores.get(id);
        if (!before) found.push(["good", `Store ${s.addr} on ${s.host} has joined`]);
        else if (before.state !== s.state) found.push([toneOf(s.state), `Store ${s.addr} on ${s.host} is ${s.state}`]);
        if (before && !before.leaving !== !s.leaving) found.push(["", s.leaving ? `Store ${s.addr} is being emptied (${s.leaving})` : `Store ${s.addr} is no longer being emptied`]);
        const less = before?.report?.missing, more = s.report?.missing;
        if (less && more === 0) found.push(["good", `Store ${s.addr} has all its copies again`]);
      }
    }
    if (nodes?.items) was.current.stores = now;
    if (raft && !raft.error) {
      if (was.current.leader !== undefined && was.current.leader !== raft.leader) found.push(raft.leader ? ["", `${raft.leader} leads the catalog, term ${raft.term}`] : ["bad", "The catalog has no leader"]);
      was.current.leader = raft.leader;
    }
    if (!found.length) return;
    const at = new Date().toLocaleTimeString("en-GB");
    set((l) => [...found.map(([tone, text]) => ({ id: was.current.next++, at, tone, text })), ...l].slice(0, 50));
  }, [nodes, raft]);
  return list;
}
