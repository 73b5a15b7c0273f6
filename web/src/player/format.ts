// The bytes of a store's door for browsers: `go doc ./datanode/browser` draws them, and
// datanode/browser/testdata/golden.json holds both sides to them.

export const requestSize = 52, headSize = 56, tailSize = 36, signalsSize = 32;
export const leafSize = 65536;

// Request asks for a part of a chunk; a length of 0 is all from the offset on.
export interface Request {
  chunk: Uint8Array; offset: number; length: number; leaves?: boolean; fresh?: boolean; held?: boolean; urgency?: number;
  piece?: { k: number; m: number; i: number };
}

// Told is what a store says of the path and of itself. Times are seconds.
export interface Told { rtt: number; cwnd: number; sent: number; lost: number; busy: number; disk: number; decode: number; }

export interface Head { status: number; body: number; size: number; leaves: number; retryAfter: number; told: Told; }

export function request(r: Request): Uint8Array {
  const b = new Uint8Array(requestSize), v = new DataView(b.buffer);
  magic(b, "VSR1");
  b[4] = (r.leaves ? 1 : 0) | (r.fresh ? 2 : 0) | (r.held ? 4 : 0);
  b[5] = r.piece?.k ?? 0;
  b[6] = r.piece?.m ?? 0;
  b[7] = r.piece?.i ?? 0;
  b[8] = r.urgency ?? 3;
  v.setUint32(12, r.offset, true);
  v.setUint32(16, r.length, true);
  b.set(r.chunk, 20);
  return b;
}

export function head(b: Uint8Array): Head {
  const v = view(b, headSize, "VSA1");
  return {
    status: v.getUint16(4, true), body: v.getUint32(8, true), size: v.getUint32(12, true), leaves: v.getUint32(16, true),
    retryAfter: v.getUint32(20, true) / 1000, told: signals(b.subarray(24)),
  };
}

export function tail(b: Uint8Array): Told {
  view(b, tailSize, "VSE1");
  return signals(b.subarray(4));
}

export function signals(b: Uint8Array): Told {
  const v = view(b, signalsSize, "");
  const at = (i: number) => v.getUint32(4 * i, true);
  return { rtt: at(0) / 1e6, cwnd: at(1), sent: at(2), lost: at(3), busy: at(4), disk: at(5) / 1e6, decode: at(6) / 1e6 };
}

function magic(b: Uint8Array, word: string) {
  for (let i = 0; i < word.length; i++) b[i] = word.charCodeAt(i);
}

function view(b: Uint8Array, size: number, word: string): DataView {
  if (b.length !== size) throw new Error(`${b.length} bytes where ${size} belong`);
  for (let i = 0; i < word.length; i++) if (b[i] !== word.charCodeAt(i)) throw new Error("not an answer of a store: no " + word);
  return new DataView(b.buffer, b.byteOffset, b.byteLength);
}

export function hex(b: Uint8Array): string {
  return Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
}

export function base64(s: string): Uint8Array<ArrayBuffer> {
  const text = atob(s), b = new Uint8Array(text.length);
  for (let i = 0; i < b.length; i++) b[i] = text.charCodeAt(i);
  return b;
}
