// One sentence on the cluster, from what its stores and members report.
import { Nodes, NodeStore, Raft } from "./api";
import { State } from "./live";
import { Tone } from "./ui";

export interface Health { tone: Tone; text: string; more: string[]; }

export const storesOf = (nodes: Nodes | undefined): NodeStore[] => nodes?.items?.flatMap((n) => n.stores ?? []) ?? [];
export const sum = (stores: NodeStore[], of: (s: NodeStore) => number | undefined) => stores.reduce((n, s) => n + (of(s) ?? 0), 0);

const some = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;

// judge puts the worst first; what else is wrong follows.
export function judge(nodes: Nodes | undefined, raft: Raft | undefined, stream: State): Health {
  if (stream === "shut") return { tone: "bad", text: "This browser may not read the cluster", more: [] };
  if (stream === "lost") return { tone: "bad", text: "No connection to the server; trying again", more: [] };
  if (!nodes || !raft) return { tone: "", text: "Asking the cluster", more: [] };
  const bad: string[] = [], warn: string[] = [];
  if (raft.error) bad.push("The catalog does not answer: " + raft.error);
  else if (!raft.leader) bad.push("The catalog has no leader: nothing can be stored or changed");
  if (raft.diverged) bad.push("Two members of the catalog differ: report it");
  const stores = storesOf(nodes);
  const silent = stores.filter((s) => s.state !== "up");
  const hosts = new Set(stores.map((s) => s.host));
  if (silent.length) {
    const where = new Set(silent.map((s) => s.host));
    const text = `${some(silent.length, "store")} of ${stores.length} ${silent.length === 1 ? "does" : "do"} not answer (${[...where].join(", ")})`;
    (where.size > 1 ? bad : warn).push(text);
  }
  const corrupt = sum(stores, (s) => s.report?.corrupt), missing = sum(stores, (s) => s.report?.missing);
  const full = stores.filter((s) => s.report?.full), mute = stores.filter((s) => s.report?.mute);
  if (corrupt) warn.push(`${some(corrupt, "damaged chunk")} to be healed`);
  if (missing) warn.push(`${some(missing, "copy").replace("copys", "copies")} on the way`);
  if (full.length) warn.push(`${some(full.length, "store")} full`);
  if (mute.length) warn.push(`${some(mute.length, "store")} without a vote: ${mute[0]!.report!.mute}`);
  if (!raft.error && raft.leader && raft.can_fail === 0) warn.push("the catalog has no member to spare");
  const [first, ...more] = [...bad, ...warn];
  if (first) return { tone: bad.length ? "bad" : "warn", text: first[0]!.toUpperCase() + first.slice(1), more };
  if (!stores.length) return { tone: "warn", text: "No store has registered yet", more: [] };
  return { tone: "good", text: `Healthy: ${some(stores.length, "store")} on ${some(hosts.size, "host")}, all up`, more: [] };
}
