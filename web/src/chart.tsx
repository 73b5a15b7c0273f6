// Lines over time, as SVG, with their figures as a table for whoever reads rather than looks.
import { useState } from "preact/hooks";

export interface Line { name: string; values: (number | null)[]; }

const width = 600, height = 130;

// Chart draws lines that are equally spaced in time; the last value is now, or, forward,
// the first one is the beginning.
export function Chart({ title, lines, step, show, area, forward }: { title: string; lines: Line[]; step: number; show: (n: number) => string; area?: boolean; forward?: boolean }) {
  const [at, setAt] = useState<number>();
  const n = Math.max(0, ...lines.map((l) => l.values.length));
  const most = ceiling(Math.max(0, ...lines.flatMap((l) => l.values.map((v) => v ?? 0))));
  const x = (i: number) => (n > 1 ? (i / (n - 1)) * width : width);
  const y = (v: number) => height - (v / most) * (height - 6);
  const shown = at ?? n - 1;
  const when = (i: number) => (forward ? "at " + (i * step).toFixed(1) + " s" : i === n - 1 ? "now" : span((n - 1 - i) * step) + " ago");
  const hover = (e: PointerEvent) => {
    const box = (e.currentTarget as Element).getBoundingClientRect();
    setAt(Math.max(0, Math.min(n - 1, Math.round(((e.clientX - box.left) / box.width) * (n - 1)))));
  };
  const label = `${title}: ${lines.map((l) => `${l.name} ${show(last(l.values))}`).join(", ")}`;
  return (
    <figure class="card chart">
      <figcaption>
        <b>{title}</b>
        <ul class={lines.length > 3 ? "many" : ""}>
          {lines.map((l, i) => <li key={l.name}><span class={"key s" + (i % 8)} aria-hidden="true" />{l.name} <b>{show(l.values[shown] ?? NaN)}</b></li>)}
        </ul>
        <span class="soft">{n < 2 ? "gathering" : when(shown)}</span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label} onPointerMove={hover} onPointerLeave={() => setAt(undefined)}>
        {[0.25, 0.5, 0.75].map((f) => <line key={f} class="grid" x1="0" x2={width} y1={height * f} y2={height * f} />)}
        {lines.map((l, i) => <g key={l.name} class={"s" + (i % 8)}>
          {area && lines.length === 1 && <path class="area" d={pieces(l.values, x, y, true)} />}
          <path class="line" d={pieces(l.values, x, y, false)} />
        </g>)}
        {at !== undefined && <line class="at" x1={x(at)} x2={x(at)} y1="0" y2={height} />}
      </svg>
      <div class="axis"><span>{n > 1 ? (forward ? "0 s" : span((n - 1) * step) + " ago") : ""}</span><span>{show(most)} at the top</span><span>{forward ? ((n - 1) * step).toFixed(0) + " s" : "now"}</span></div>
      <details><summary>Figures</summary><Figures lines={lines} when={when} show={show} n={n} /></details>
    </figure>
  );
}

// Figures are about a dozen rows of what the lines show.
function Figures({ lines, when, show, n }: { lines: Line[]; when: (i: number) => string; show: (n: number) => string; n: number }) {
  const every = Math.max(1, Math.ceil(n / 12));
  const rows = [];
  for (let i = n - 1; i >= 0; i -= every) rows.push(i);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Figures"><table>
      <thead><tr><th>when</th>{lines.map((l) => <th key={l.name}>{l.name}</th>)}</tr></thead>
      <tbody>{rows.map((i) => <tr key={i}><td>{when(i)}</td>{lines.map((l) => <td key={l.name}>{show(l.values[i] ?? NaN)}</td>)}</tr>)}</tbody>
    </table></div>
  );
}

// pieces is a path with a hole where there is no value.
function pieces(values: (number | null)[], x: (i: number) => number, y: (v: number) => number, close: boolean): string {
  let d = "", from = -1;
  values.forEach((v, i) => {
    if (v === null) {
      if (close && from >= 0) d += `V${height}H${x(from).toFixed(1)}Z`;
      from = -1;
      return;
    }
    d += `${from < 0 ? "M" : "L"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
    if (from < 0) from = i;
  });
  return close && from >= 0 ? d + `V${height}H${x(from).toFixed(1)}Z` : d;
}

const last = (v: (number | null)[]) => v.findLast((x) => x !== null) ?? NaN;

// ceiling is a round number above n.
function ceiling(n: number): number {
  if (!(n > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 2.5, 5, 10].map((f) => f * unit).find((c) => c >= n) ?? 10 * unit;
}

function span(seconds: number): string {
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return (seconds / 3600).toFixed(seconds < 36000 ? 1 : 0) + " h";
}
