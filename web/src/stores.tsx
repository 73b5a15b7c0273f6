// Hosts and their stores, with every figure that they report.
import { useState } from "preact/hooks";
import { ago, bytes, count, get, Node, NodeStore, Order } from "./api";
import { usePoll, useTopic } from "./live";
import { toneOf } from "./overview";
import { act, Action, Badge, Cmd, Dot, Empty, Failure, Loading, Meter, Region, Tone, useActions, useConfirm, useQuery } from "./ui";

export function StoresPage() {
  const nodes = useTopic("nodes");
  const may = useActions();
  const [filter, setFilter] = useQuery("q");
  const [ask, dialog] = useConfirm();
  if (!nodes) return <Loading />;
  if (nodes.error) return <><h1>Hosts and stores</h1><Failure what="The hosts are not known" why={nodes.error} next={<>Ask the members themselves: <code>vstack raft status</code></>} /></>;
  const hosts = (nodes.items ?? []).map((n) => ({ ...n, stores: (n.stores ?? []).filter((s) => (n.host + " " + s.addr + " " + s.id + " " + s.state).includes(filter)) })).filter((n) => n.stores.length);
  return (
    <>
      <div class="row between">
        <h1>Hosts and stores</h1>
        <input type="search" placeholder="host, address, id or state" aria-label="Filter" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
      </div>
      {!nodes.items?.length && <Empty title="No host has registered yet"><p>Start one: <code>vstack server --config FILE</code></p></Empty>}
      {nodes.items?.length && !hosts.length ? <Empty title={`No store matches “${filter}”`} /> : null}
      {may.includes("order") && <Orders stores={nodes.items?.flatMap((n) => n.stores ?? []) ?? []} ask={ask} />}
      {hosts.map((n) => <HostTable key={n.host} node={n} may={may} ask={ask} />)}
      {hosts.length > 0 && <Cmd text="vstack store ls --wide" />}
      {dialog}
    </>
  );
}

// order is what an operator wants of some stores; the command names the host or the store.
function order(what: "drain" | "undrain" | "cordon" | "uncordon", stores: NodeStore[], command: string, name: string): Action {
  const texts = {
    drain: "Every role moves to other stores, as fast as those copy; uploads and playbacks go on, and nothing is dropped before others have it. It is refused at once if it could never end.",
    undrain: "It takes roles again, and keeps those that have not moved yet.", cordon: "It takes no new role, and keeps those that it has.", uncordon: "It takes roles again.",
  };
  const verb = what[0]!.toUpperCase() + what.slice(1);
  return {
    title: `${verb} ${name}?`, verb, danger: what === "drain", command, text: texts[what],
    run: () => act("POST", "/v1/stores/orders", { stores: stores.map((s) => s.id), order: what }),
  };
}

// Orders are the stores that leave or take nothing new, and what that waits for.
function Orders({ stores, ask }: { stores: NodeStore[]; ask: (a: Action) => void }) {
  const got = usePoll<{ items: Order[] | null }>("/v1/stores/orders", 2000);
  const list = got.value?.items ?? [];
  if (!list.length) return null;
  return (
    <section>
      <h2>Orders under way</h2>
      <Region label="Orders under way">
        <table>
          <thead><tr><th>store</th><th>host</th><th>order</th><th class="n">roles left</th><th class="n">moving</th><th class="n">stay</th><th>waits for</th><th><span class="hidden">actions</span></th></tr></thead>
          <tbody>{list.map((o) => {
            const s = stores.find((x) => x.id === o.store);
            return (
              <tr key={o.store}><td>{s?.addr ?? <code>{o.store}</code>}</td><td>{o.host}</td><td>{o.leaving ? <Badge tone="warn">leaves ({o.leaving})</Badge> : <Badge>cordoned</Badge>}</td>
                <td class="n">{o.roles}</td><td class="n">{o.moving}</td><td class="n">{o.stay}</td><td>{o.waits?.[0] ?? (o.leaving && o.roles === 0 ? "nothing: it is empty" : "")}</td>
                <td class="acts">{s && o.cordoned && <button class="small" aria-label={"Undo " + s.addr} onClick={() => ask(o.leaving ? order("undrain", [s], `vstack store undrain ${s.addr}`, s.addr) : order("uncordon", [s], `vstack store uncordon ${s.addr}`, s.addr))}>Undo</button>}</td></tr>
            );
          })}</tbody>
        </table>
      </Region>
    </section>
  );
}

function HostTable({ node, may, ask }: { node: Node; may: string[]; ask: (a: Action) => void }) {
  const acts = may.includes("order") || may.includes("scrub");
  const [stop, setStop] = useState<{ ok: boolean; text: string }>();
  const asked = () => get<{ ok: boolean; reasons?: string[] }>(`/v1/nodes/${node.host}/ok-to-stop`).then(
    (a) => setStop({ ok: a.ok, text: a.ok ? "It may stop now." : `Not now: ${(a.reasons ?? []).join("; ")}` }), (e: Error) => setStop({ ok: false, text: e.message }));
  const leaves = node.stores.every((s) => s.leaving || s.cordoned);
  return (
    <section>
      <div class="row">
        <h2><Dot tone={toneOf(node.state)} />{node.host}</h2>
        <span class="soft">{node.state}, seen {ago(node.last_seen)} · {node.version || "version unknown"} · feature level {node.level ?? 1}</span>
        {may.includes("order") && <span class="host-acts">
          <button class="small" onClick={() => void asked()} aria-label={`May it stop? ${node.host}`}>May it stop?</button>
          {leaves ? <button class="small" onClick={() => ask(order("undrain", node.stores, `vstack node undrain ${node.host}`, node.host))} aria-label={"Undrain " + node.host}>Undrain</button>
            : <button class="small" onClick={() => ask(order("drain", node.stores, `vstack node drain ${node.host}`, node.host))} aria-label={"Drain " + node.host}>Drain</button>}
        </span>}
      </div>
      {stop && <p role="status"><Badge tone={stop.ok ? "good" : "warn"}>{stop.ok ? "yes" : "no"}</Badge>{stop.text} <code>vstack node ok-to-stop {node.host}</code></p>}
      <Region label={"Stores of " + node.host}>
        <table class="wide">
          <thead><tr><th>store</th><th>state</th><th class="n">used</th><th>of its room</th><th class="n">chunks</th><th class="n">missing</th><th class="n">damaged</th><th class="n">reads</th>
            <th class="n">served</th><th class="n">p99</th><th class="n">stored</th>{acts && <th><span class="hidden">actions</span></th>}</tr></thead>
          <tbody>{node.stores.map((s) => <StoreRow key={s.id} s={s} may={may} ask={ask} />)}</tbody>
        </table>
      </Region>
    </section>
  );
}

function StoreRow({ s, may, ask }: { s: NodeStore; may: string[]; ask: (a: Action) => void }) {
  const r = s.report;
  const scrub = (): Action => ({
    title: `Read and check all of ${s.addr}?`, verb: "Check it", command: `vstack store scrub start ${s.addr}`,
    text: `Every stored byte (${bytes(r?.used ?? 0)}) is read and held to its checksum; damage is healed from other stores.`, run: () => act("POST", `/v1/stores/${s.id}/scrub`),
  });
  const here = location.hash === "#" + s.id;
  return (
    <tr id={s.id} class={here ? "here" : ""}>
      <td><b>{s.addr}</b><div class="soft"><code title={s.id}>…{s.id.slice(-12)}</code></div></td>
      <td><State s={s} /></td>
      <td class="n">{r ? bytes(r.used) : "–"}</td>
      <td><Meter value={r?.used ?? 0} max={s.capacity} label={"Used of " + s.addr} /><span class="soft">{bytes(s.capacity)}</span></td>
      <td class="n">{r ? count(r.chunks) : "–"}</td><td class="n">{r ? count(r.missing) : "–"}</td><td class="n">{r ? count(r.corrupt) : "–"}</td>
      <td class="n">{r ? count(r.reads) : "–"}</td><td class="n">{r ? bytes(r.read_bytes) : "–"}</td>
      <td class="n">{r?.reads ? (r.read_p99 * 1000).toFixed(1) + " ms" : "–"}</td><td class="n">{r ? count(r.writes) : "–"}</td>
      {(may.includes("order") || may.includes("scrub")) && <td class="acts">
        {may.includes("scrub") && s.state === "up" && <button class="small" onClick={() => ask(scrub())}>Check</button>}
        {may.includes("order") && !s.leaving && <button class="small" onClick={() => ask(order("drain", [s], `vstack store drain ${s.addr}`, s.addr))}>Drain</button>}
        {may.includes("order") && !s.leaving && <button class="small" onClick={() => ask(s.cordoned ? order("uncordon", [s], `vstack store uncordon ${s.addr}`, s.addr) : order("cordon", [s], `vstack store cordon ${s.addr}`, s.addr))}>{s.cordoned ? "Uncordon" : "Cordon"}</button>}
      </td>}
    </tr>
  );
}

function State({ s }: { s: NodeStore }) {
  const r = s.report;
  const marks: [Tone, string][] = [[toneOf(s.state), s.state]];
  if (s.leaving) marks.push(["warn", `being emptied (${s.leaving})`]);
  if (s.cordoned && !s.leaving) marks.push(["", "cordoned"]);
  if (r?.full) marks.push(["bad", "full"]);
  if (r?.mute) marks.push(["warn", "no vote: " + r.mute]);
  if (r?.amnesic?.length) marks.push(["warn", `barred from ${r.amnesic.length} groups`]);
  return <>{marks.map(([tone, text]) => <Badge key={text} tone={tone}>{text}</Badge>)}</>;
}
