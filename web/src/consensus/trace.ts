// A run of chunkpaxos/sim as the server tells it.
export interface Fault { at: number; for: number; kind: string; node: string; with?: string; by?: number; }
export interface Script { slots: number; every: number; contenders: number[]; faults: Fault[]; }
export interface Scenario { name: string; title: string; about: string; script: Script; }
export interface SlotState { promised: string; ballot: string; value: string; }
export interface StoreState { up: boolean; slots: SlotState[]; }
export interface Step { at: number; kind: string; node: string; message: number; text: string; why: string; state?: Record<string, StoreState>; }
export interface Message { from: string; to: string; verb: string; text: string; sent: number; came: number; }
export interface Trace {
  name?: string; title?: string; about?: string; script: Script; nodes: { name: string; kind: string }[]; steps: Step[]; messages: Message[];
  quotes: Record<string, { heading: string; text: string }>; cut: boolean;
}

// stateAt is what every store has on its disk after a step.
export function stateAt(t: Trace, step: number): Map<string, StoreState> {
  const none = (): SlotState => ({ promised: "", ballot: "", value: "" });
  const out = new Map<string, StoreState>();
  for (const n of t.nodes) if (n.kind === "store") out.set(n.name, { up: true, slots: Array.from({ length: t.script.slots }, none) });
  for (const s of t.steps.slice(0, step + 1)) for (const [name, state] of Object.entries(s.state ?? {})) out.set(name, state);
  return out;
}

// chosenAt is the value that a majority of disks has at one ballot, by slot.
export function chosenAt(stores: Map<string, StoreState>, slots: number): string[] {
  return Array.from({ length: slots }, (_, i) => {
    const votes = new Map<string, number>();
    for (const s of stores.values()) {
      const v = s.slots[i];
      if (v?.value) votes.set(v.ballot + " " + v.value, (votes.get(v.ballot + " " + v.value) ?? 0) + 1);
    }
    for (const [vote, n] of votes) if (n > stores.size / 2) return vote.split(" ")[1]!;
    return "";
  });
}

// deadAt are the processes that do not run after a step.
export function deadAt(t: Trace, step: number): Set<string> {
  const out = new Set<string>();
  for (const s of t.steps.slice(0, step + 1)) {
    if (s.kind === "kill") out.add(s.node);
    if (s.kind === "start") out.delete(s.node);
  }
  return out;
}

// A script in an address: base64 of its JSON, as addresses want it.
export const pack = (s: Script) => btoa(JSON.stringify(s)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
export function unpack(text: string): Script | undefined {
  try {
    return JSON.parse(atob(text.replace(/-/g, "+").replace(/_/g, "/"))) as Script;
  } catch {
    return undefined;
  }
}
