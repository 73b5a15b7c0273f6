// Playbacks: ours and stock players', as they tell of themselves.
import { ago, bits, bytes, clock, count, Placement, Series, Session, short } from "./api";
import { Chart } from "./chart";
import { usePoll, useTopic } from "./live";
import { rate } from "./overview";
import { Badge, Cmd, Dot, Empty, Failure, Loading, Meter, Region, Segments, Stat, Tone, useQuery } from "./ui";

const kinds = ["all", "smart", "page", "stock"] as const;
const kindText: Record<string, string> = { smart: "vstack video play", page: "this page's player", stock: "a stock player" };
const tones: Record<string, Tone> = { playing: "good", starting: "", stalled: "bad", paused: "", ended: "", failed: "bad" };

export function SessionsPage() {
  const s = useTopic("sessions");
  const placement = useTopic("placement");
  const past = usePoll<Series>("/v1/history?span=10m", 2000);
  const [asked, setKind] = useQuery("kind");
  const kind = kinds.find((k) => k === asked) ?? "all";
  if (!s) return <Loading />;
  const shown = s.items.filter((x) => kind === "all" || x.kind === kind);
  const stores = (placement?.stores ?? []).map((x) => ({ name: x.addr, values: past.value?.values["read/" + x.id] ?? [] }))
    .filter((l) => l.values.length).sort((a, b) => total(b.values) - total(a.values));
  return (
    <>
      <div class="row between"><h1>Playback</h1><Segments label="Players shown" of={kinds} value={kind} set={setKind} /></div>
      <div class="stats-row">
        <Stat label="Playing now" value={count(s.playing)} note={Object.entries(s.kinds).map(([k, n]) => `${n} ${k}`).join(", ") || "nobody"} />
        <Stat label="Stalled" value={count(s.stalled)} tone={s.stalled ? "bad" : ""} note={s.stalled ? "waiting for bytes" : "every buffer has something"} />
        <Stat label="Median buffer" value={s.playing ? s.buffer.toFixed(1) + " s" : "–"} note="ahead of the picture" />
        <Stat label="Throughput" value={s.playing ? bits(s.rate) : "–"} note="as the players measure it, together" />
      </div>
      <div class="charts">
        <Chart title="Players" lines={[{ name: "playing", values: past.value?.values["sessions"] ?? [] }]} step={past.value?.step ?? 2} show={(n) => (n >= 0 ? count(Math.round(n)) : "–")} area />
        <Chart title={stores.length > 8 ? "Read, the eight busiest stores" : "Read by store"} lines={stores.slice(0, 8)} step={past.value?.step ?? 2} show={rate} />
      </div>
      <h2>Sessions</h2>
      {shown.length === 0 ? <Empty title={s.items.length ? "No such session" : "Nobody has played anything yet"}>
        <p>Open a film, run <code>vstack video play VIDEO --speed 1</code>, or point a player that speaks CMCD at a film's address.</p></Empty>
        : <Region label="Sessions">
          <table class="wide">
            <thead><tr><th>player</th><th>state</th><th>buffer</th><th class="n">throughput</th><th class="n">first picture</th><th class="n">stalls</th><th class="n">got</th><th class="n">hedges</th><th>position</th><th>seen</th></tr></thead>
            <tbody>{shown.map((x) => <Row key={x.id} x={x} />)}</tbody>
          </table>
        </Region>}
      {s.kept > s.items.length && <p class="soft">The first {s.items.length} of {s.kept}.</p>}
    </>
  );
}

const total = (v: (number | null)[]) => v.reduce<number>((n, x) => n + (x ?? 0), 0);

function Row({ x }: { x: Session }) {
  return (
    <tr class={x.playing ? "" : "faded"}>
      <td><a href={"/live/" + encodeURIComponent(x.id)}>{x.player || "player"}</a><div class="soft">{x.policy || x.kind} · {short(x.id)}</div></td>
      <td><Badge tone={tones[x.state] ?? ""}>{x.playing || x.state === "ended" || x.state === "failed" ? x.state : "gone"}</Badge></td>
      <td class="buffer"><Meter value={Math.min(30, x.buffer)} max={36} label="Buffer of 30 s" />{x.buffer.toFixed(1)} s</td>
      <td class="n">{x.rate ? bits(x.rate) : "–"}</td><td class="n">{x.startup ? x.startup.toFixed(2) + " s" : "–"}</td>
      <td class="n">{x.stalls}{x.stall_time > 0 ? `, ${x.stall_time.toFixed(1)} s` : ""}</td><td class="n">{x.bytes ? bytes(x.bytes) : "–"}</td><td class="n">{x.policy ? x.hedges : "–"}</td>
      <td>{x.duration ? `${clock(x.position)} of ${clock(x.duration)}` : x.position ? clock(x.position) : "–"}</td><td>{ago(x.seen)}</td>
    </tr>
  );
}

export function SessionPage({ id }: { id: string }) {
  const got = usePoll<Session>("/v1/sessions/" + encodeURIComponent(id), 1000);
  const placement = useTopic("placement");
  if (got.error && !got.value) return <Failure what="No such session" why={got.error} next={<a href="/live">All sessions</a>} />;
  const x = got.value;
  if (!x) return <Loading />;
  const past = x.past ?? [];
  return (
    <>
      <p class="soft"><a href="/live">Playback</a> / {short(x.id)}</p>
      <div class="row"><h1>{x.player || "A player"}</h1><Badge tone={tones[x.state] ?? ""}>{x.playing || x.state === "ended" ? x.state : "gone"}</Badge><Badge>{kindText[x.kind]}</Badge></div>
      <p class="soft under">Film <a href={"/watch/" + x.video}><code>{x.video}</code></a>, since {ago(x.started)}{x.picture ? ", " + x.picture : ""}{x.policy ? `, stores chosen by ${x.policy}` : ""}</p>
      <div class="stats-row">
        <Stat label="Buffer" value={x.buffer.toFixed(1) + " s"} tone={x.state === "stalled" ? "bad" : ""} note={<Meter value={Math.min(30, x.buffer)} max={36} label="Buffer of 30 s" />} />
        <Stat label="Throughput" value={x.rate ? bits(x.rate) : "–"} note={x.bytes ? bytes(x.bytes) + " so far" : "as it measures"} />
        <Stat label="First picture" value={x.startup ? x.startup.toFixed(2) + " s" : "–"} note={x.position ? "at " + clock(x.position) + (x.duration ? " of " + clock(x.duration) : "") : ""} />
        <Stat label="Stalls" value={x.stalls} tone={x.stalls ? "warn" : ""} note={x.stall_time ? x.stall_time.toFixed(1) + " s in all" : "none that waited"} />
      </div>
      <div class="charts">
        <Chart title="Buffer" lines={[{ name: "seconds ahead", values: past.map((p) => p.buffer) }]} step={2} show={(n) => (n >= 0 ? n.toFixed(1) + " s" : "–")} area />
        <Chart title="Throughput" lines={[{ name: "bits a second", values: past.map((p) => p.rate) }]} step={2} show={(n) => (n >= 0 ? bits(n) : "–")} area />
      </div>
      <h2>Where its bytes come from</h2>
      {x.sources?.length ? <Sources x={x} placement={placement} />
        : <Empty title={x.kind === "stock" || x.kind === "page" ? "The gateway reads for it" : "Nothing yet"}><p>Only the smart client chooses stores itself: <code>vstack video play {x.video} --speed 1</code></p></Empty>}
      {x.policy && <Cmd text={`vstack video play ${x.video} --policy ${x.policy}`} />}
    </>
  );
}

function Sources({ x, placement }: { x: Session; placement: Placement | undefined }) {
  const all = (x.sources ?? []).reduce((n, s) => n + s.bytes, 0);
  const names = new Map((placement?.stores ?? []).map((s) => [s.id, s]));
  return (
    <Region label="Stores of this session">
      <table class="wide">
        <thead><tr><th>store</th><th>share</th><th class="n">bytes</th><th class="n">chunks</th><th class="n">1 MiB would take</th><th class="n">round trip</th><th class="n">rate</th><th class="n">loss</th><th class="n">in flight</th></tr></thead>
        <tbody>{[...(x.sources ?? [])].sort((a, b) => b.bytes - a.bytes).map((s) => {
          const store = names.get(s.store);
          return <tr key={s.store}><td>{store ? <><Dot tone={store.state === "up" ? "good" : "bad"} />{store.host} <span class="soft">{store.addr}</span></> : <code>{s.store}</code>}</td>
            <td><Meter value={all ? s.bytes : 0} max={(all || 1) * 1.2} label="Share of the bytes" />{all ? Math.round((100 * s.bytes) / all) : 0} %</td>
            <td class="n">{bytes(s.bytes)}</td><td class="n">{count(s.chunks)}</td><td class="n">{s.score ? (s.score * 1000).toFixed(0) + " ms" : "–"}</td>
            <td class="n">{s.rtt ? (s.rtt * 1000).toFixed(1) + " ms" : "–"}</td><td class="n">{s.rate ? bits(s.rate) : "–"}</td><td class="n">{(s.loss * 100).toFixed(1)} %</td>
            <td class="n">{s.in_flight}{s.ejected && <Badge tone="warn">left alone</Badge>}</td></tr>;
        })}</tbody>
      </table>
    </Region>
  );
}
