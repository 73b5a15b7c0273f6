// What a player reads of GET /v1/player/{video}: manifest, its table of chunks, who holds them.
import type { Early } from "./early";
import { base64 } from "./format";

export interface Fragment { size: number; lead: number; duration: number; keyframe: boolean; cut: boolean; }
export interface Chunk {
  seq: number; id: Uint8Array<ArrayBuffer>; root: Uint8Array | undefined; size: number; start: number; duration: number; keyframe: boolean;
  fragments: Fragment[];
}
export interface Track {
  number: number; kind: string; codec: string; name?: string; language?: string; timescale: number; bitrate: number; width?: number; height?: number;
  display_width?: number; display_height?: number; default?: boolean; channels?: number;
  init?: Chunk; chunks: Chunk[];
}
export interface StoreRow { id: string; host: string; addr: string; state: string; }
export interface Data {
  video: { id: string; title: string; class: string; duration: number };
  manifest: { version: number; duration: number; tracks: Track[]; table?: string };
  placement: { version: number; groups: { epoch: number; targets: string[] }[] | null; stores: StoreRow[] };
  early?: Early; // sessions that stand or are dialled already
  token?: string; expires?: string; // for who sees a private film without one
  inits?: Record<string, string>; // init chunks by track, of those that were at hand
  webtransport?: { store: string; started: string; addr: string; hashes: string[] }[];
}

const headerSize = 16, trackSize = 8, chunkSize = 88, fragmentSize = 17;

// readManifest gives the tracks their chunks, from the table of version 2 or from JSON.
export function readManifest(m: Data["manifest"]): Track[] {
  if (!m.table) return m.tracks.map(fromJSON);
  const b = base64(m.table), v = new DataView(b.buffer);
  const tracks = v.getUint16(4, true);
  if (String.fromCharCode(...b.subarray(0, 4)) !== tableMagic || tracks !== m.tracks.length) throw new Error("the manifest's table is damaged");
  let at = headerSize;
  const row = (seq: number): Chunk => {
    const n = v.getUint16(at + 84, true), root = b.slice(at + 32, at + 64);
    const c: Chunk = {
      seq, id: b.slice(at, at + 32), root: root.some((x) => x !== 0) ? root : undefined, size: v.getUint32(at + 64, true),
      start: Number(v.getBigInt64(at + 68, true)), duration: Number(v.getBigInt64(at + 76, true)), keyframe: (b[at + 86]! & 1) !== 0, fragments: [],
    };
    at += chunkSize;
    for (let i = 0; i < n; i++, at += fragmentSize) {
      c.fragments.push({
        size: v.getUint32(at, true), lead: v.getUint32(at + 4, true), duration: Number(v.getBigInt64(at + 8, true)),
        keyframe: (b[at + 16]! & 1) !== 0, cut: (b[at + 16]! & 2) !== 0,
      });
    }
    return c;
  };
  return m.tracks.map((t) => {
    const has = b[at + 2]! !== 0, n = v.getUint32(at + 4, true);
    at += trackSize;
    const init = has ? row(0) : undefined;
    const chunks = Array.from({ length: n }, (_, i) => row(i + 1));
    return { ...t, ...(init && { init }), chunks };
  });
}

const tableMagic = "VMT\x02";

interface ChunkJSON { seq: number; id: string; size: number; start: number; duration: number; keyframe: boolean; }

function fromJSON(t: Track): Track {
  const read = (c: ChunkJSON): Chunk => ({ ...c, id: unhex(c.id), root: undefined, fragments: [] });
  const raw = t as unknown as { init?: ChunkJSON; chunks: ChunkJSON[] | null };
  return { ...t, ...(raw.init?.id && { init: read(raw.init) }), chunks: (raw.chunks ?? []).map(read) };
}

function unhex(s: string): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(s.length / 2);
  for (let i = 0; i < b.length; i++) b[i] = parseInt(s.slice(2 * i, 2 * i + 2), 16);
  return b;
}

// fragmentsOf are a chunk's fragments, or the chunk as one where the manifest names none.
export function fragmentsOf(c: Chunk): Fragment[] {
  return c.fragments.length ? c.fragments : [{ size: c.size, lead: 0, duration: c.duration, keyframe: c.keyframe, cut: c.keyframe }];
}

// groupOf is a slot's placement group: the first two bytes of SHA-256(video ‖ track ‖ seq).
export async function groupOf(video: string, track: number, seq: number, groups: number): Promise<number> {
  const b = new Uint8Array(22), v = new DataView(b.buffer);
  b.set(unhex(video.replaceAll("-", "")));
  v.setUint16(16, track, true);
  v.setUint32(18, seq, true);
  const h = new DataView(await crypto.subtle.digest("SHA-256", b));
  return h.getUint16(0, true) % groups;
}
