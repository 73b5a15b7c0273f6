// Placement groups: which stores vote and hold what, and which of them are in trouble.
import { useState } from "preact/hooks";
import { Balance, bytes, Group, NodeStore, Placement } from "./api";
import { usePoll, useTopic } from "./live";
import { toneOf } from "./overview";
import { act, Action, Badge, Cmd, Dot, Empty, Failure, Loading, Region, Segments, Stat, Tone, useActions, useConfirm, useQuery } from "./ui";

const voters = 3;

interface Judged { n: number; group: Group; tone: Tone; why: string; }

// judge says how a group is from the stores that it names.
function judge(n: number, group: Group, stores: Map<string, NodeStore>): Judged {
  const down = (ids: string[]) => ids.filter((id) => stores.get(id)?.state !== "up").length;
  const votes = down(group.targets.slice(0, voters)), all = down(group.targets);
  if (votes > 1) return { n, group, tone: "bad", why: `${votes} of ${voters} voters do not answer: nothing can be stored here` };
  if (all > 2) return { n, group, tone: "bad", why: `${all} of ${group.targets.length} stores do not answer: cold chunks cannot be read` };
  if (all > 0) return { n, group, tone: "warn", why: `${all} of ${group.targets.length} stores do not answer` };
  if (group.next) return { n, group, tone: "", why: `moves to epoch ${group.next.epoch}` };
  return { n, group, tone: "good", why: "all its stores answer" };
}

const views = ["all", "in trouble", "moving"] as const;

export function GroupsPage() {
  const placement = useTopic("placement");
  const [asked, setView] = useQuery("show");
  const [chosen, choose] = useState<number>();
  if (!placement) return <Loading />;
  if (placement.error) return <><h1>Placement groups</h1><Failure what="The placement is not known" why={placement.error} /></>;
  if (!placement.groups?.length) {
    return <><h1>Placement groups</h1><Empty title="No placement yet"><p>The catalog assigns groups once stores on enough hosts have registered: three, or all that there are.</p></Empty></>;
  }
  const view = views.find((v) => v === asked) ?? "all";
  const stores = new Map(placement.stores.map((s) => [s.id, s]));
  const all = placement.groups.map((g, n) => judge(n, g, stores));
  const shown = all.filter((j) => view === "all" || (view === "moving" ? j.group.next : j.tone === "bad" || j.tone === "warn"));
  const of = (t: Tone) => all.filter((j) => j.tone === t).length;
  const one = chosen === undefined ? undefined : all[chosen];
  return (
    <>
      <div class="row between"><h1>Placement groups</h1><Segments label="Groups shown" of={views} value={view} set={setView} /></div>
      <p class="soft">A chunk belongs to the group that its place in the film hashes to; the group names the stores that vote on it and hold it.</p>
      <div class="stats-row">
        <Stat label="Well" value={of("good") + of("")} note={`of ${all.length} groups`} />
        <Stat label="With a store down" value={of("warn")} tone={of("warn") ? "warn" : ""} note="nothing is lost, repair follows" />
        <Stat label="In danger" value={of("bad")} tone={of("bad") ? "bad" : ""} note="no quorum, or too few fragments" />
        <Stat label="Moving" value={all.filter((j) => j.group.next).length} note="an epoch is being prepared" />
      </div>
      {shown.length === 0 ? <Empty title={view === "moving" ? "No group is moving" : "No group is in trouble"} />
        : <div class="card cells" role="group" aria-label="Groups">
          {shown.map((j) => (
            <button key={j.n} class={"cell " + (j.tone || "move")} aria-pressed={chosen === j.n} title={`Group ${j.n}: ${j.why}`} aria-label={`Group ${j.n}: ${j.why}`}
              onClick={() => choose(chosen === j.n ? undefined : j.n)}>{j.n}</button>
          ))}
        </div>}
      {one && <Detail j={one} stores={stores} />}
      <Roles placement={placement} />
      <Sharing stores={stores} />
    </>
  );
}

function Detail({ j, stores }: { j: Judged; stores: Map<string, NodeStore> }) {
  const rows = [...new Set([...j.group.targets, ...(j.group.next?.targets ?? [])])];
  const role = (i: number) => (i < 0 ? "" : i < voters ? "votes" : "holds");
  return (
    <section aria-live="polite">
      <div class="row"><h2>Group {j.n}</h2><Badge tone={j.tone}>{j.why}</Badge></div>
      <p class="soft">Epoch {j.group.epoch}{j.group.attempt ? `, brought by attempt ${j.group.attempt}` : ""}
        {j.group.next && <>; epoch {j.group.next.epoch}, attempt {j.group.next.attempt}, is driven by {stores.get(j.group.next.driver)?.addr ?? j.group.next.driver}</>}</p>
      <Region label={`Stores of group ${j.n}`}>
        <table>
          <thead><tr><th>position</th><th>store</th><th>host</th><th>state</th><th>now</th>{j.group.next && <th>next</th>}</tr></thead>
          <tbody>{rows.map((id) => {
            const s = stores.get(id), now = j.group.targets.indexOf(id), next = j.group.next?.targets.indexOf(id) ?? -1;
            return <tr key={id}><td>{now >= 0 ? now + 1 : "–"}</td><td>{s?.addr ?? <code>{id}</code>}</td><td>{s?.host ?? "?"}</td>
              <td><Dot tone={toneOf(s?.state ?? "down")} />{s?.state ?? "unknown"}</td><td>{role(now)}</td>{j.group.next && <td>{role(next)}</td>}</tr>;
          })}</tbody>
        </table>
      </Region>
    </section>
  );
}

// Roles is how even the placement is: the figures of `vstack store ls`.
function Roles({ placement }: { placement: Placement }) {
  const groups = placement.groups ?? [];
  const rows = placement.stores.map((s) => ({
    s, votes: groups.filter((g) => g.targets.slice(0, voters).includes(s.id)).length, targets: groups.filter((g) => g.targets.includes(s.id)).length,
    moves: groups.filter((g) => g.next && g.next.targets.includes(s.id) !== g.targets.includes(s.id)).length,
  }));
  return (
    <>
      <h2>Roles by store</h2>
      <Region label="Roles by store">
        <table>
          <thead><tr><th>store</th><th>host</th><th>state</th><th class="n">votes in</th><th class="n">holds for</th><th class="n">moving</th></tr></thead>
          <tbody>{rows.map(({ s, votes, targets, moves }) => (
            <tr key={s.id}><td><a href={"/stores?q=" + s.addr}>{s.addr}</a></td><td>{s.host}</td><td><Dot tone={toneOf(s.state)} />{s.state}</td>
              <td class="n">{votes}</td><td class="n">{targets}</td><td class="n">{moves}</td></tr>
          ))}</tbody>
        </table>
      </Region>
      <Cmd text="vstack store ls" />
    </>
  );
}

const states = { "": "begins by itself once stores differ much", running: "is under way", held: "is held" };

// Sharing is how roles would lie if every store had its share, and who decides on that.
function Sharing({ stores }: { stores: Map<string, NodeStore> }) {
  const may = useActions().includes("balance");
  const got = usePoll<Balance>(may ? "/v1/balance" : undefined, 3000);
  const [ask, dialog] = useConfirm();
  const b = got.value;
  if (!may || !b) return null;
  const set = (state: Balance["state"], verb: string, command: string, text: string): Action => ({ title: verb + "?", verb, command, text, run: () => act("PUT", "/v1/balance", { state }) });
  return (
    <>
      <div class="row"><h2>Sharing out</h2><span class="soft">{states[b.state]}</span></div>
      {b.paused && <p>Paused, with all that only moves: <code>vstack redundancy resume</code></p>}
      <p>{b.groups === 0 ? "Every store has its share." : `${b.groups} groups have yet to change, ${b.roles} roles to go to another store, about ${bytes(b.bytes)} to be copied${b.added ? `, ${b.added} new roles` : ""}.`}</p>
      {b.groups > 0 && <Region label="Shares">
        <table>
          <thead><tr><th>store</th><th>host</th><th class="n">used</th><th class="n">roles now</th><th class="n">then</th></tr></thead>
          <tbody>{(b.stores ?? []).map((s) => <tr key={s.store}><td>{stores.get(s.store)?.addr ?? s.store}</td><td>{s.host}</td><td class="n">{bytes(s.used)}</td><td class="n">{s.now}</td><td class="n">{s.then}</td></tr>)}</tbody>
        </table>
      </Region>}
      <div class="row sharing">
        {b.state !== "running" && <button onClick={() => ask(set("running", "Share roles out now", "vstack rebalance", "Every store gets its share by the size of its disk; as little moves as that takes, as fast as stores copy."))}>Share out now</button>}
        {b.state !== "held" && <button onClick={() => ask(set("held", "Hold the sharing out", "vstack rebalance --hold", "It stops, and does not begin by itself either."))}>Hold</button>}
        {b.state !== "" && <button onClick={() => ask(set("", "Leave it to the cluster", "vstack rebalance --auto", "It stops, and begins by itself again once stores differ much."))}>By itself</button>}
      </div>
      {dialog}
    </>
  );
}
