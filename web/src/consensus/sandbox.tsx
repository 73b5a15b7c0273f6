// The sandbox: break something now, or write the script by hand; the same script gives the
// same run, so what was before stays as it was.
import { Fault, Script, Trace } from "./trace";

const kinds: Record<string, string> = { kill: "kill", cut: "cut off", delay: "slow" };

export function Sandbox({ t, step, run }: { t: Trace; step: number; run: (s: Script, keep: boolean) => void }) {
  const s = t.script;
  const now = Math.round(((t.steps[step]?.at ?? 0) + 0.01) * 100) / 100;
  const add = (f: Fault) => run({ ...s, faults: [...s.faults, f] }, true);
  const change = (i: number, by: Partial<Fault>) => run({ ...s, faults: s.faults.map((f, k) => (k === i ? { ...f, ...by } : f)) }, false);
  const names = t.nodes.map((n) => n.name);
  const full = s.faults.length >= 24;
  return (
    <section class="card sandbox" aria-label="Sandbox">
      <h2>Break it</h2>
      <p class="soft">Something happens {now.toFixed(2)} ms after the beginning, right after this step; the run is played anew from there.</p>
      {names.map((n) => (
        <div class="row" key={n}>
          <b class="who">{n}</b>
          <button class="small" disabled={full} onClick={() => add({ at: now, for: 0, kind: "kill", node: n })}>Kill {n}</button>
          {n.length === 1 && <button class="small" disabled={full} onClick={() => add({ at: now, for: 30, kind: "kill", node: n })}>Restart {n} after 30 ms</button>}
          <button class="small" disabled={full} onClick={() => add({ at: now, for: 20, kind: "cut", node: n })}>Cut {n} off for 20 ms</button>
          <button class="small" disabled={full} onClick={() => add({ at: now, for: 60, kind: "delay", node: n, by: 15 })}>Slow {n} by 15 ms</button>
        </div>
      ))}
      <div class="row">
        <label>chunks <select value={s.slots} onChange={(e) => run({ ...s, slots: +e.currentTarget.value }, false)}>{[1, 2, 3].map((n) => <option key={n}>{n}</option>)}</select></label>
        <label>contenders <select value={s.contenders.length} onChange={(e) => run({ ...s, contenders: [4, 4.5].slice(0, +e.currentTarget.value), faults: keepNamed(s.faults, +e.currentTarget.value) }, false)}>
          {[0, 1, 2].map((n) => <option key={n}>{n}</option>)}</select></label>
        {s.contenders.map((at, i) => (
          <label key={i}>Q{i + 1} at <Number value={at} set={(v) => run({ ...s, contenders: s.contenders.map((c, k) => (k === i ? v : c)) }, false)} /> ms</label>
        ))}
        {s.slots > 1 && <label>a chunk every <Number value={s.every} set={(every) => run({ ...s, every }, false)} /> ms</label>}
      </div>
      {s.faults.length > 0 && <h2>What happens</h2>}
      {s.faults.map((f, i) => (
        <div class="row" key={i}>
          <label>at <Number value={f.at} set={(at) => change(i, { at })} /> ms</label>
          <span>{kinds[f.kind]} <b>{f.node}</b>{f.kind === "cut" && <> from <select aria-label="the other end" value={f.with ?? ""} onChange={(e) => change(i, { with: e.currentTarget.value })}>
            <option value="">everybody</option>{names.filter((n) => n !== f.node).map((n) => <option key={n}>{n}</option>)}</select></>}</span>
          {f.kind === "delay" && <label>by <Number value={f.by ?? 0} set={(by) => change(i, { by })} /> ms</label>}
          <label>for <Number value={f.for} set={(v) => change(i, { for: v })} /> ms{f.for === 0 && <span class="soft"> (for good)</span>}</label>
          <button class="small quiet" aria-label={`Remove: ${kinds[f.kind]} ${f.node}`} onClick={() => run({ ...s, faults: s.faults.filter((_, k) => k !== i) }, false)}>Remove</button>
        </div>
      ))}
    </section>
  );
}

// keepNamed drops what would happen to processes that are no longer there.
const keepNamed = (faults: Fault[], contenders: number) => faults.filter((f) => [f.node, f.with ?? ""].every((n) => n[0] !== "Q" || +n[1]! <= contenders));

function Number({ value, set }: { value: number; set: (v: number) => void }) {
  return <input type="number" min="0" max="1000" step="0.5" value={value} onChange={(e) => set(Math.max(0, Math.min(1000, e.currentTarget.valueAsNumber || 0)))} />;
}
