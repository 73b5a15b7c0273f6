// What the player of the stores knows: the strip of chunks by who brought them, the stores with
// their live scores, and why one is asked before another.
import { bits, bytes, clock, count } from "./api";
import type { State, StoreState } from "./player/player";
import { Badge, Copy, Dot, Meter, Region } from "./ui";

export function Overlay({ state, at }: { state: State; at: number }) {
  const colour = new Map(state.stores.map((s, i) => [s.id, i % 8]));
  const all = state.stores.reduce((n, s) => n + s.bytes, 0);
  return (
    <section class="overlay card" aria-label="Reading from the stores">
      <Strip state={state} at={at} colour={colour} />
      <p class="soft why" aria-label="Why this store">{state.why}</p>
      {state.liars.map((l, i) => <p key={i} role="alert"><Badge tone="bad">lied</Badge> {l.host} <code>{l.store}</code> sent {l.what}. It was not shown, came from another store, and the store is left alone for now.</p>)}
      <Region label="Stores of this playback">
        <table class="wide">
          <thead><tr><th>store</th><th>share</th><th class="n">bytes</th><th class="n">2 MiB would take</th><th class="n">round trip</th><th class="n">window</th><th class="n">rate</th><th class="n">loss</th><th class="n">owed</th><th class="n">busy</th></tr></thead>
          <tbody>{state.stores.map((s) => <Row key={s.id} s={s} all={all} colour={colour.get(s.id)!} />)}</tbody>
        </table>
      </Region>
      <ul class="stats" aria-label="Reading">
        <li>taken over <b>{count(state.steals)}</b></li>
        <li>came twice <b>{state.useful ? ((100 * state.extra) / state.useful).toFixed(1) : "0.0"} %</b></li>
        <li>through the gateway <b>{bytes(state.gateway)}</b></li>
        <li>verified <b>{bytes(state.useful + state.gateway)}</b></li>
        <li><Copy text={() => JSON.stringify(state)} name="all of this as JSON" /></li>
      </ul>
    </section>
  );
}

// Strip draws a chunk as a bar of its stores' colours, as high as it is proven.
function Strip({ state, at, colour }: { state: State; at: number; colour: Map<string, number> }) {
  const strip = state.strip, end = strip.at(-1)?.end ?? 1;
  const done = strip.filter((c) => c.shares.length > 0).length;
  return (
    <svg class="chunks" viewBox={`0 0 ${end} 1`} preserveAspectRatio="none" role="img" aria-label={`${done} of ${strip.length} chunks read, at ${clock(at)}`}>
      {strip.map((c) => {
        const width = (c.end - c.start) * 0.94;
        if (c.shares.length === 0) return c.head > 0 && <rect key={c.seq} class={c.through} x={c.start} y={1 - c.head / c.size} width={width} height={c.head / c.size} />;
        let y = 0;
        return c.shares.map(([store, n]) => {
          const h = n / c.size;
          y += h;
          return <rect key={c.seq + store} class={"s" + colour.get(store)} x={c.start} y={1 - y} width={width} height={h} />;
        });
      })}
      <line class="at" x1={at} x2={at} y1="0" y2="1" />
    </svg>
  );
}

function Row({ s, all, colour }: { s: StoreState; all: number; colour: number }) {
  const tone = s.lies ? "bad" : s.link === "quic" && !s.ejected ? "good" : s.link === "idle" ? "" : "warn";
  const state = s.lies ? `lied ${s.lies} times` : s.ejected && s.link === "quic" ? "left alone" : s.link === "quic" ? "" : s.link === "idle" ? "not asked yet" : s.link === "dialing" ? "being dialled" : "no session";
  return (
    <tr title={s.error}>
      <td><span class={"key s" + colour} /><Dot tone={tone} />{s.host} <span class="soft">{s.addr}</span> {state && <Badge tone={tone}>{state}</Badge>}</td>
      <td><Meter value={all ? s.bytes : 0} max={(all || 1) * 1.2} label="Share of the bytes" />{all ? Math.round((100 * s.bytes) / all) : 0} %</td>
      <td class="n">{bytes(s.bytes)}</td><td class="n">{Number.isFinite(s.score) && s.score !== null ? (s.score * 1000).toFixed(0) + " ms" : "–"}</td>
      <td class="n">{s.rtt ? (s.rtt * 1000).toFixed(1) + " ms" : "–"}</td><td class="n">{s.cwnd ? bytes(s.cwnd) : "–"}</td><td class="n">{s.rate ? bits(s.rate * 8) : "–"}</td>
      <td class="n">{(s.loss * 100).toFixed(1)} %</td><td class="n">{bytes(Math.max(0, s.pending))}</td><td class="n">{s.busy}</td>
    </tr>
  );
}
