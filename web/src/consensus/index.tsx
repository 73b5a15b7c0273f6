// ChunkPaxos to look at: scenarios and scripts, played by the code that stores and clients
// run, step by step.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { get, problem } from "../api";
import { Badge, Copy, Failure, Loading, Segments } from "../ui";
import { Diagram } from "./diagram";
import { Live } from "./heard";
import { Now } from "./now";
import { Sandbox } from "./sandbox";
import { chosenAt, pack, Scenario, Script, stateAt, Trace, unpack } from "./trace";

const speeds = ["½×", "1×", "2×", "4×"] as const;
const pace = { "½×": 1600, "1×": 800, "2×": 400, "4×": 200 };

// begin reads what an address asks for: a scenario or a script, and a step.
function begin() {
  const q = new URLSearchParams(location.search);
  const script = unpack(q.get("run") ?? "");
  return { name: script ? "" : q.get("play") || "normal", script, step: Math.max(0, (+(q.get("step") ?? "1") || 1) - 1) };
}

export function ConsensusPage() {
  const [asked, ask] = useState(begin);
  const [list, setList] = useState<Scenario[]>([]);
  const [trace, setTrace] = useState<Trace>();
  const [step, setStep] = useState(asked.step);
  const [failed, setFailed] = useState("");
  const [open, setOpen] = useState(asked.script !== undefined);

  useEffect(() => void get<{ items: Scenario[] }>("/v1/paxos/scenarios").then((l) => setList(l.items), () => undefined), []);
  useEffect(() => {
    const stop = new AbortController();
    const got = asked.script ? play(asked.script, stop.signal) : get<Trace>("/v1/paxos/scenarios/" + encodeURIComponent(asked.name), stop.signal);
    got.then((t) => {
      setFailed("");
      setTrace(t);
      setStep(Math.min(asked.step, t.steps.length - 1));
    }, (e: Error) => { if (!stop.signal.aborted) setFailed(e.message); });
    return () => stop.abort();
  }, [asked]);
  useEffect(() => {
    const q = asked.script ? "run=" + pack(asked.script) : "play=" + asked.name;
    history.replaceState(null, "", `/consensus?${q}&step=${step + 1}`);
  }, [asked, step]);

  const run = (script: Script, keep: boolean) => ask({ name: "", script, step: keep ? step : 0 });
  return (
    <>
      <div class="row between">
        <h1>Consensus</h1>
        <button aria-pressed={open} onClick={() => setOpen(!open)}>{open ? "Close the sandbox" : "Sandbox"}</button>
      </div>
      <p class="soft">ChunkPaxos, the protocol that has three stores agree on each chunk, played by the very code that stores and clients run; only clock, network and disks are simulated, and the clock's patience is shorter.</p>
      <div class="tabs" role="group" aria-label="Scenarios">
        {list.map((s) => <button key={s.name} aria-pressed={asked.name === s.name} onClick={() => ask({ name: s.name, script: undefined, step: 0 })}>{s.title}</button>)}
        {asked.script && <button aria-pressed="true">Your script</button>}
      </div>
      {failed && <Failure what="This run cannot be played" why={failed} />}
      {!trace ? !failed && <Loading /> : <Player t={trace} step={step} setStep={setStep} />}
      {trace && open && <Sandbox t={trace} step={step} run={run} />}
      <Live />
      <Now />
      {trace && <Story t={trace} step={step} setStep={setStep} />}
    </>
  );
}

async function play(script: Script, signal: AbortSignal): Promise<Trace> {
  const answer = await fetch("/v1/paxos/run", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(script), signal });
  if (!answer.ok) throw await problem(answer);
  return (await answer.json()) as Trace;
}

const keys: Record<string, (n: number) => number> = { ArrowLeft: (n) => n - 1, ArrowRight: (n) => n + 1, Home: () => 0, End: () => Infinity };

function Player({ t, step, setStep }: { t: Trace; step: number; setStep: (to: (n: number) => number) => void }) {
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<(typeof speeds)[number]>("1×");
  const last = t.steps.length - 1;
  const end = useRef(last);
  end.current = last;
  // Keys may come faster than the page is drawn: a step is taken from where the last one led.
  const by = (to: (n: number) => number) => setStep((n) => Math.max(0, Math.min(end.current, to(n))));
  const move = (to: number) => by(() => to);

  useEffect(() => {
    if (!playing) return;
    if (step >= last) return setPlaying(false);
    const timer = setTimeout(() => move(step + 1), pace[speed]);
    return () => clearTimeout(timer);
  }, [playing, step, speed, last]);
  useLayoutEffect(() => { // keys count from the moment that there is something to see
    const key = (e: KeyboardEvent) => {
      const on = e.target as HTMLElement;
      if (on.matches("input, select, textarea, summary") || e.ctrlKey || e.metaKey || e.altKey) return;
      const to = keys[e.key];
      if (to) by(to);
      else if (e.key === " " && !on.matches("button, a")) setPlaying((p) => !p);
      else return;
      e.preventDefault();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);

  const s = t.steps[step]!;
  const toggle = () => {
    if (!playing && step >= last) move(0);
    setPlaying(!playing);
  };
  return (
    <div>
      {t.about && <p>{t.about}</p>}
      <div class="card controls" role="group" aria-label="Playback of the run">
        <button onClick={() => move(0)} aria-label="First step" disabled={step === 0}><Icon d="M3 2h2v12H3zM13 2v12L6 8z" /></button>
        <button onClick={() => move(step - 1)} aria-label="One step back" disabled={step === 0}><Icon d="M11 2v12L4 8z" /></button>
        <button class="main" onClick={toggle}>{playing ? "Pause" : "Play"}</button>
        <button onClick={() => move(step + 1)} aria-label="One step on" disabled={step === last}><Icon d="M5 2v12l7-6z" /></button>
        <button onClick={() => move(last)} aria-label="Last step" disabled={step === last}><Icon d="M11 2h2v12h-2zM3 2v12l7-6z" /></button>
        <input class="timeline" type="range" min="0" max={last} value={step} aria-label="Timeline" aria-valuetext={`step ${step + 1}: ${s.text}`} onInput={(e) => move(+e.currentTarget.value)} />
        <span class="soft count">{step + 1} of {last + 1}, {s.at.toFixed(2)} ms</span>
        <Segments label="Speed" of={speeds} value={speed} set={setSpeed} />
        <Copy text={location.origin + location.pathname + location.search} name="a link to this step" />
      </div>
      <div class="stage">
        <Diagram t={t} step={step} go={move} />
        <div class="beside">
          <Explained t={t} step={step} />
          <Disks t={t} step={step} />
        </div>
      </div>
      {t.cut && <p class="soft">The run was ended at a bound: it would go on.</p>}
    </div>
  );
}

const Icon = ({ d }: { d: string }) => <svg viewBox="0 0 16 16" aria-hidden="true"><path d={d} /></svg>;

const anchor = (heading: string) => heading.toLowerCase().replace(/[^\w\- ]/g, "").replace(/ /g, "-");

function Explained({ t, step }: { t: Trace; step: number }) {
  const s = t.steps[step]!, q = t.quotes[s.why];
  return (
    <section class="card" aria-label="This step" aria-live="polite">
      <div class="soft">Step {step + 1}, {s.at.toFixed(2)} ms</div>
      <p class="what">{s.text}</p>
      {q && <blockquote>{q.text.replaceAll("`", "")}<footer class="soft">docs/chunkpaxos.md, “{q.heading}” <code>#{anchor(q.heading)}</code></footer></blockquote>}
    </section>
  );
}

// Disks is what each store would know after a crash now, and what follows from it.
function Disks({ t, step }: { t: Trace; step: number }) {
  const stores = stateAt(t, step), chosen = chosenAt(stores, t.script.slots);
  const fresh = t.steps[step]?.state ?? {};
  return (
    <section class="card scroll" tabIndex={0} role="region" aria-label="What is on the disks">
      <table>
        <thead><tr><th>store</th><th>slot</th><th>promised</th><th>vote</th><th>value</th></tr></thead>
        <tbody>
          {[...stores].flatMap(([name, s]) => s.slots.map((slot, i) => (
            <tr key={name + i} class={fresh[name] ? "here" : ""}>
              <td>{i === 0 && <b>{name}</b>} {i === 0 && !s.up && <Badge tone="bad">down</Badge>}</td><td>{i + 1}</td><td>{slot.promised || "–"}</td><td>{slot.ballot || "–"}</td>
              <td>{slot.value ? <Badge tone={slot.value === chosen[i] ? "good" : "warn"}>{slot.value}</Badge> : "–"}</td>
            </tr>
          )))}
        </tbody>
        <tfoot>{chosen.map((v, i) => <tr key={i}><td colSpan={4}>Slot {i + 1}</td><td>{v ? <Badge tone="good">{v} is chosen</Badge> : <span class="soft">open</span>}</td></tr>)}</tfoot>
      </table>
    </section>
  );
}

// Story is the run as text.
function Story({ t, step, setStep }: { t: Trace; step: number; setStep: (n: number) => void }) {
  return (
    <details class="card story">
      <summary>The run as text</summary>
      <ol>
        {t.steps.map((s, i) => (
          <li key={i} aria-current={i === step ? "step" : undefined}>
            <button onClick={() => setStep(i)}><span class="soft">{s.at.toFixed(2)} ms</span> {s.text}</button>
          </li>
        ))}
      </ol>
    </details>
  );
}
