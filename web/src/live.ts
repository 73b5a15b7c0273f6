// One stream of server-sent events a tab: the topics that what is on the screen reads.
import { useEffect, useState } from "preact/hooks";
import { Films, Nodes, Placement, Raft, Sessions } from "./api";

export interface Topics { films: Films; nodes: Nodes; placement: Placement; raft: Raft; sessions: Sessions; }
type Name = keyof Topics;

// State of the stream: asking, open, lost (trying again) or shut (this page may not read).
export type State = "asking" | "open" | "lost" | "shut";

const readers = new Map<string, Set<(v: unknown) => void>>();
const values = new Map<string, unknown>();
const watchers = new Set<(s: State) => void>();
let source: EventSource | undefined;
let following = "";
let state: State = "asking";
let planned = false;

function say(s: State) {
  state = s;
  watchers.forEach((w) => w(s));
}

// follow opens the stream anew when the set of topics has changed.
function follow() {
  planned = false;
  const names = [...readers.keys()].sort().join(",");
  if (names === following) return;
  following = names;
  source?.close();
  for (const n of values.keys()) if (!readers.has(n)) values.delete(n); // old news is no news
  if (!names) return;
  const mine = (source = new EventSource("/v1/events?topics=" + names));
  for (const n of names.split(",")) {
    mine.addEventListener(n, (e) => {
      const v: unknown = JSON.parse((e as MessageEvent<string>).data);
      values.set(n, v);
      readers.get(n)?.forEach((r) => r(v));
    });
  }
  mine.onopen = () => say("open");
  mine.onerror = () => {
    if (mine !== source) return;
    say("lost");
    if (mine.readyState === EventSource.CLOSED) void reopen(); // a refusal: the browser does not try again
  };
}

async function reopen() {
  const answer = await fetch("/v1/videos?limit=1").catch(() => undefined);
  if (answer?.status === 401) return say("shut");
  setTimeout(() => { following = ""; follow(); }, 2000);
}

function plan() {
  if (planned) return;
  planned = true;
  setTimeout(follow); // after everything on the new page has said what it reads
}

// useTopic is a topic's value while the stream has one.
export function useTopic<K extends Name>(name: K): Topics[K] | undefined {
  const [value, set] = useState(() => values.get(name) as Topics[K] | undefined);
  useEffect(() => {
    const take = set as (v: unknown) => void;
    const all = readers.get(name) ?? new Set();
    readers.set(name, all.add(take));
    if (values.has(name)) take(values.get(name));
    plan();
    return () => {
      all.delete(take);
      if (!all.size) readers.delete(name);
      plan();
    };
  }, [name]);
  return value;
}

export function useStream(): State {
  const [s, set] = useState(state);
  useEffect(() => {
    watchers.add(set);
    return () => void watchers.delete(set);
  }, []);
  return s;
}

// usePoll asks again and again while what asks is on the screen.
export function usePoll<T>(path: string | undefined, every: number): { value?: T; error?: string } {
  const [got, set] = useState<{ path?: string | undefined; value?: T; error?: string }>({});
  useEffect(() => {
    if (!path) return;
    const stop = new AbortController();
    let timer = 0;
    const ask = async () => {
      try {
        const answer = await fetch(path, { signal: stop.signal });
        const body = (await answer.json()) as T & { detail?: string };
        if (answer.ok) set({ path, value: body });
        else set((was) => ({ ...was, path, error: body.detail ?? answer.statusText }));
      } catch (e) {
        if (stop.signal.aborted) return;
        set((was) => ({ ...was, path, error: (e as Error).message }));
      }
      timer = window.setTimeout(ask, document.hidden ? every * 5 : every);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, every]);
  return got.path === path ? got : {};
}
