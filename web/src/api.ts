// What the pages ask of the server that they came from, in its own words (docs/api.md).
import type { Early } from "./player/early";

export interface Video {
  id: string; title: string; state: string; class: string; policy: string; duration: number; size: number;
  chunks: number; tracks: number; views: number; published?: string; access?: { visibility?: string }; source: { name: string; size: number; container: string };
}

export interface Track {
  number: number; kind: string; codec: string; name?: string; language?: string; copied: boolean; width?: number; height?: number;
  display_width?: number; display_height?: number; frame_rate?: number; sample_rate?: number; channels?: number; bitrate: number;
  columns?: number; rows?: number;
}

export interface Store { id: string; host: string; addr: string; state: string; capacity: number; }

export interface PlayerData {
  video: Video;
  manifest: { version: number; duration: number; tracks: Track[] };
  placement: { stores: Store[] };
  early?: Early | undefined; // of the player of the stores
}

// What an operator ordered, and how far it is.
export interface Order { store: string; host: string; state: string; cordoned: boolean; leaving?: string; roles: number; moving: number; stay: number; waits?: string[]; }
export interface Balance {
  state: "" | "running" | "held"; groups: number; roles: number; added?: number; paused?: boolean; worst: number; bytes: number; stores: { store: string; host: string; now: number; then: number; votes: number; used: number }[] | null;
}

// Redundancy is how all films lie and what may fail.
export interface Tally { videos: number; bytes: number; }
export interface RedundancyPolicy { auto: boolean; warm_above: number; cool_below: number; min_hosts_can_fail: number; }
export interface Redundancy {
  policy: RedundancyPolicy; paused: boolean; classes: Record<string, Tally> | null; videos: number; behind?: boolean; bears?: { hosts: number; stores: number }; unproven: number; below: number;
  moving: number; to_cool: Tally; to_warm: Tally; waits: number; waiting?: { video: string; to: string; why: string }[];
}

// CatalogEvent is something that happened to the cluster, and who asked for it.
export interface CatalogEvent { index: number; part?: number; time: string; kind: string; of?: string; detail?: string; by?: string; }
export interface CatalogEvents { items: CatalogEvent[] | null; next: number; more: boolean; }

// Report is what a store last said of itself.
export interface Report {
  used: number; chunks: number; missing: number; corrupt: number; lsn: number; applied: number; read_p99: number; reads: number; read_bytes: number;
  writes: number; started: string; full: boolean; mute?: string; amnesic?: number[];
}
export interface NodeStore extends Store { leaving?: string; cordoned?: boolean; report?: Report; }
export interface Node { host: string; state: string; last_seen: string; version: string; level?: number; stores: NodeStore[]; }
export interface Nodes { items: Node[] | null; error?: string; }

export interface Peer {
  id: string; raft: string; api: string; voter: boolean; leader: boolean; reached: boolean; standing?: string; detail?: string; state?: string;
  term?: number; last_index?: number; commit?: number; applied?: number; follows?: string;
}
export interface Raft {
  node: string; cluster?: string; leader: string; term: number; applied: number; checksum: string; can_fail: number; level: number; diverged: boolean;
  peers: Peer[] | null; error?: string;
}

export interface Group { epoch: number; targets: string[]; attempt?: number; next?: { epoch: number; attempt: number; targets: string[]; driver: string }; }
export interface Placement { version: number; groups: Group[] | null; stores: NodeStore[]; targets?: number; error?: string; }

export interface Holdings {
  hosts_can_fail: number; stores_can_fail: number; class: string; groups: number; groups_waiting: number; chunks: number; columns: number;
  stores: { store: string; chunks: number; copies: string; fragments?: string }[];
}

export interface Source { store: string; bytes: number; chunks: number; score: number; rtt: number; rate: number; loss: number; in_flight: number; ejected: boolean; }
export interface Session {
  id: string; kind: string; started: string; seen: string; playing: boolean; video: string; player: string; policy?: string; state: string; picture?: string;
  position: number; duration: number; buffer: number; startup: number; stalls: number; stall_time: number; rate: number; bytes: number; chunks: number;
  retries: number; hedges: number; dropped: number; sources?: Source[]; past?: { at: number; buffer: number; rate: number; stalls: number }[];
}
export interface Sessions {
  playing: number; kept: number; kinds: Record<string, number>; rate: number; stalled: number; buffer: number; items: Session[]; error?: string;
}

export interface Series { span: string; step: number; end: string; values: Record<string, (number | null)[]>; }

// carried is the playback token in the page's address, and before what stands before the paths of
// a private film for it.
export const carried = () => new URLSearchParams(location.search).get("t") ?? "";
export const before = () => (carried() ? "/t/" + encodeURIComponent(carried()) : "");

export interface Films { items: Video[]; next?: string; error?: string; }

// Problem is an error body (RFC 9457) with a stable code.
export class Problem extends Error {
  constructor(readonly status: number, readonly code: string, detail: string) {
    super(detail);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const answer = await fetch(path, { signal: signal ?? null, headers: { Accept: "application/json" } });
  if (!answer.ok) throw await problem(answer);
  return (await answer.json()) as T;
}

export async function problem(answer: Response): Promise<Problem> {
  try {
    const p = (await answer.json()) as { code?: string; detail?: string; title?: string };
    return new Problem(answer.status, p.code ?? "", p.detail ?? p.title ?? answer.statusText);
  } catch {
    return new Problem(answer.status, "", answer.statusText);
  }
}

export function bytes(n: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

export function clock(seconds: number): string {
  const s = Math.round(seconds), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  const two = (n: number) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

// bits writes a rate of bits a second.
export function bits(n: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

export const count = (n: number) => n.toLocaleString("en");

// ago says how long ago a time was.
export function ago(time: string | undefined): string {
  const s = (Date.now() - Date.parse(time ?? "")) / 1000;
  if (!(s < 3e9)) return "never"; // absent, or Go's zero time
  if (s < 2) return "now";
  if (s < 90) return Math.round(s) + " s ago";
  if (s < 5400) return Math.round(s / 60) + " min ago";
  if (s < 129600) return Math.round(s / 3600) + " h ago";
  return Math.round(s / 86400) + " days ago";
}

// short is enough of an id to tell it from others on a page; ids begin with their time.
export const short = (id: string) => id.slice(-6);
