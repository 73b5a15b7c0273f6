// Pieces that every page is made of.
import { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { problem } from "./api";

export type Tone = "" | "good" | "warn" | "bad";

export const Dot = ({ tone }: { tone: Tone }) => <span class={"dot " + tone} aria-hidden="true" />;
export const Badge = ({ tone = "", children }: { tone?: Tone; children: ComponentChildren }) => <span class={"badge " + tone}>{children}</span>;
export const Loading = () => <div class="card empty" role="status"><span class="spin" aria-hidden="true" />Loading…</div>;

export function Failure({ what, why, next }: { what: string; why: string; next?: ComponentChildren }) {
  return <div class="card error" role="alert"><strong>{what}</strong><p>{why}</p>{next && <p class="soft">{next}</p>}</div>;
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="card empty"><h2>{title}</h2>{children}</div>;
}

export function Stat({ label, value, note, tone = "" }: { label: string; value: ComponentChildren; note?: ComponentChildren; tone?: Tone }) {
  return <div class={"card stat " + tone}><div class="label">{label}</div><div class="value">{value}</div>{note && <div class="soft">{note}</div>}</div>;
}

export function Meter({ value, max, label }: { value: number; max: number; label: string }) {
  const share = max > 0 ? value / max : 0;
  const tone = share > 0.95 ? "bad" : share > 0.85 ? "warn" : "";
  return (
    <div class={"meter " + tone} role="meter" aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100} aria-label={label}>
      <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width={Math.min(100, share * 100)} height="4" /></svg>
    </div>
  );
}

export function Copy({ text, name }: { text: string | (() => string); name: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setDone(false), 2000);
    return () => clearTimeout(timer);
  }, [done]);
  return <button class="small" onClick={() => void navigator.clipboard.writeText(typeof text === "string" ? text : text()).then(() => setDone(true))} aria-label={"Copy " + name}>{done ? "copied" : "copy"}</button>;
}

// Cmd is a command line that does the same.
export const Cmd = ({ text }: { text: string }) => <div class="cmd"><code>$ {text}</code><Copy text={text} name="the command" /></div>;

// Region scrolls sideways when it is wider than the page; the keyboard reaches it.
export function Region({ label, children }: { label: string; children: ComponentChildren }) {
  return <div class="card scroll" tabIndex={0} role="region" aria-label={label}>{children}</div>;
}

export interface Action { title: string; text: ComponentChildren; command: string; verb: string; danger?: boolean; run: () => Promise<string>; }

// act sends a change; what it returns is what the server said.
export async function act(method: string, path: string, body?: object): Promise<string> {
  const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: body ? JSON.stringify(body) : null });
  if (!answer.ok) throw await problem(answer);
  return answer.status === 204 ? "" : await answer.text();
}

// Confirm asks before something is done, and shows the command that does it.
export function Confirm({ action, close }: { action: Action | undefined; close: (done: boolean) => void }) {
  const box = useRef<HTMLDialogElement>(null);
  const [state, setState] = useState<"" | "doing">("");
  const [failed, setFailed] = useState("");
  useEffect(() => {
    setState("");
    setFailed("");
    if (action) box.current?.showModal();
    else box.current?.close();
  }, [action]);
  const go = () => {
    setState("doing");
    action!.run().then(() => close(true), (e: Error) => { setState(""); setFailed(e.message); });
  };
  return (
    <dialog ref={box} aria-labelledby="ask" onCancel={(e) => { e.preventDefault(); close(false); }}>
      {action && (
        <>
          <h2 id="ask">{action.title}</h2>
          <div class="soft">{action.text}</div>
          <Cmd text={action.command} />
          {failed && <p class="bad" role="alert">{failed}</p>}
          <div class="row end">
            <button onClick={() => close(false)} autofocus>Cancel</button>
            <button class={action.danger ? "danger" : "main"} disabled={state === "doing"} onClick={go}>{action.verb}</button>
          </div>
        </>
      )}
    </dialog>
  );
}

// useConfirm gives a page its dialog: ask(action) opens it.
export function useConfirm(done?: () => void): [(a: Action) => void, ComponentChildren] {
  const [action, setAction] = useState<Action>();
  return [setAction, <Confirm action={action} close={(ok) => { setAction(undefined); if (ok) done?.(); }} />];
}

// Segments are a choice of one out of few.
export function Segments<T extends string>({ label, of, value, set }: { label: string; of: readonly T[]; value: T; set: (v: T) => void }) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {of.map((o) => <button key={o} aria-pressed={o === value} onClick={() => set(o)}>{o}</button>)}
    </div>
  );
}

// useActions is what this server lets a page do: nothing at a public gateway.
let may: Promise<string[]> | undefined;
export function useActions(): string[] {
  const [list, set] = useState<string[]>([]);
  useEffect(() => {
    may ??= fetch("/v1/actions").then(async (a) => (a.ok ? ((await a.json()) as { actions: string[] }).actions : []), () => []);
    void may.then(set);
  }, []);
  return list;
}

// go changes the page as a link does.
export function go(path: string) {
  history.pushState(null, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}

// useQuery keeps a page's filter in its address, so that it can be sent on.
export function useQuery(name: string): [string, (v: string) => void] {
  const [value, set] = useState(() => new URLSearchParams(location.search).get(name) ?? "");
  return [value, (v) => {
    set(v);
    const q = new URLSearchParams(location.search);
    if (v) q.set(name, v);
    else q.delete(name);
    history.replaceState(null, "", location.pathname + (q.size ? "?" + q : "") + location.hash);
  }];
}
