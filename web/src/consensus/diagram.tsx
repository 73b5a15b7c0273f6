// The run as a sequence diagram: a lane a process, a row a step, time going down.
import { useEffect, useRef } from "preact/hooks";
import { deadAt, Message, Trace } from "./trace";

const row = 24, lane = 104, left = 66, top = 44;

const colours: Record<string, string> = { PUT: "s0", ACCEPT: "s0", ACCEPTED: "s2", PREPARE: "s3", PROMISE: "s3", NACK: "s4", BYTES: "s1" };

export function Diagram({ t, step, go }: { t: Trace; step: number; go: (step: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const x = (node: string) => left + t.nodes.findIndex((n) => n.name === node) * lane + lane / 2;
  const y = (i: number) => top + i * row + row / 2;
  const width = left + t.nodes.length * lane, height = top + t.steps.length * row + 10;
  useEffect(() => {
    const b = box.current!, at = y(step);
    if (at < b.scrollTop + top + 40 || at > b.scrollTop + b.clientHeight - 60) b.scrollTop = at - b.clientHeight / 2;
  }, [step, t]);
  const dead = deadAt(t, step);
  return (
    <div class="card diagram" ref={box} tabIndex={0} role="region" aria-label="Sequence diagram; the steps are listed as text below">
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        <rect class="now" x="0" y={y(step) - row / 2} width={width} height={row} rx="4" />
        {t.nodes.map((n) => <line key={n.name} class={n.kind === "store" ? "lane store" : "lane"} x1={x(n.name)} x2={x(n.name)} y1={top} y2={height} />)}
        {gaps(t).map((g, i) => <line key={i} class="down" x1={x(g.node)} x2={x(g.node)} y1={y(g.from)} y2={g.to < 0 ? height : y(g.to)} />)}
        {t.messages.map((m, i) => <Arrow key={i} m={m} step={step} x={x} y={y} />)}
        {t.steps.map((s, i) => (
          <g key={i} class={i > step ? "later" : ""}>
            {s.at !== t.steps[i - 1]?.at && <text class="time" x="8" y={y(i) + 4}>{s.at.toFixed(2)} ms</text>}
            {s.message < 0 && <Mark kind={s.kind} x={s.node ? x(s.node) : left - 6} y={y(i)} />}
            <rect class="hit" x="0" y={y(i) - row / 2} width={width} height={row} onClick={() => go(i)} />
          </g>
        ))}
      </svg>
      <div class="lanes" style={{ width: width + "px" }} aria-hidden="true">
        {t.nodes.map((n) => <span key={n.name} class={"lane-name " + n.kind + (dead.has(n.name) ? " dead" : "")} style={{ left: x(n.name) - 46 + "px" }}>{n.name}<small>{dead.has(n.name) ? "down" : n.kind}</small></span>)}
      </div>
    </div>
  );
}

// gaps are the rows in which a process is down.
function gaps(t: Trace): { node: string; from: number; to: number }[] {
  const out: { node: string; from: number; to: number }[] = [];
  t.steps.forEach((s, i) => {
    if (s.kind === "kill") out.push({ node: s.node, from: i, to: -1 });
    const open = s.kind === "start" && out.find((g) => g.node === s.node && g.to < 0);
    if (open) open.to = i;
  });
  return out;
}

function Arrow({ m, step, x, y }: { m: Message; step: number; x: (n: string) => number; y: (i: number) => number }) {
  const x1 = x(m.from), y1 = y(m.sent), lost = m.came < 0;
  const far = x(m.to), x2 = lost ? x1 + (far - x1) * 0.62 : far + (far > x1 ? -5 : 5), y2 = lost ? y1 + 5 : y(m.came);
  const state = m.sent > step ? "later" : lost ? "lost" : m.came > step ? "flying" : m.came === step || m.sent === step ? "just" : "";
  const a = Math.atan2(y2 - y1, x2 - x1), tip = (by: number) => `${(x2 - 9 * Math.cos(a + by)).toFixed(1)},${(y2 - 9 * Math.sin(a + by)).toFixed(1)}`;
  return (
    <g class={`arrow ${colours[m.verb] ?? "s5"} ${state}`}>
      <line x1={x1} y1={y1} x2={x2} y2={y2} />
      {lost ? <path d={`M${x2 - 5} ${y2 - 5}l10 10m0-10l-10 10`} /> : <polygon points={`${x2},${y2} ${tip(0.42)} ${tip(-0.42)}`} />}
      <text x={x1 + (far > x1 ? 8 : -8)} y={y1 - 4} text-anchor={far > x1 ? "start" : "end"}>{m.verb}</text>
    </g>
  );
}

// Mark is what happened at one process.
function Mark({ kind, x, y }: { kind: string; x: number; y: number }) {
  switch (kind) {
    case "durable": return <rect class="mark s2" x={x - 6} y={y - 6} width="12" height="12" rx="2" />;
    case "learn": return <path class="mark s2" d={`M${x} ${y - 9}l2.600 5.800 6.300.700-4.700 4.200 1.300 6.200-5.500-3.200-5.500 3.200 1.300-6.200-4.700-4.200 6.300-.7z`} />;
    case "kill": return <path class="mark bad-mark" d={`M${x - 6} ${y - 6}l12 12m0-12l-12 12`} />;
    case "start": return <path class="mark s2" d={`M${x - 5} ${y - 7}l12 7-12 7z`} />;
    case "fail": return <circle class="mark s4" cx={x} cy={y} r="6" />;
  }
  return <path class="mark s1" d={`M${x} ${y - 7}l7 12h-14z`} />;
}
