// Which bytes of a chunk came from whom, and which of its leaves are proven: as
// quicclient/transfer's ledger.
import { hex, leafSize } from "./format";
import { Chunk } from "./manifest";

interface Origin { lo: number; hi: number; by: string; }

const digest = async (b: Uint8Array<ArrayBuffer>) => new Uint8Array(await crypto.subtle.digest("SHA-256", b));

export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

// Verdict is what a check found: bytes proven from the start, stores that lied, and a stretch
// that has to be read again from one store.
export interface Verdict { liars: string[]; again?: { lo: number; hi: number }; }

export class Ledger {
  readonly buf: Uint8Array<ArrayBuffer>;
  head = 0; // bytes proven from the first one on
  done = false;
  private table: Uint8Array | undefined;
  private missing: number[];
  private proven: boolean[];
  private left: number;
  private came: Origin[] = [];
  private suspect = new Map<number, { bytes: Uint8Array; came: Origin[] }>();

  // base is a leaf's border before which nothing is wanted.
  constructor(readonly chunk: Chunk, private base = 0) {
    this.buf = new Uint8Array(chunk.size);
    this.left = chunk.size - base;
    this.head = base;
    this.missing = Array.from({ length: Math.ceil(chunk.size / leafSize) }, (_, i) => this.bounds(i)[1] - this.bounds(i)[0]);
    this.proven = this.missing.map((_, i) => i * leafSize < base);
  }

  get wantsTable(): boolean { return !!this.chunk.root && !this.table; }

  private bounds(leaf: number): [number, number] {
    return [leaf * leafSize, Math.min((leaf + 1) * leafSize, this.chunk.size)];
  }

  // learn takes a table, if it is the manifest's: one that is not proves nothing, against nobody.
  async learn(table: Uint8Array<ArrayBuffer>): Promise<boolean> {
    if (!this.chunk.root || table.length !== 32 * this.missing.length || !same(await digest(table), this.chunk.root)) return false;
    this.table ??= table;
    return true;
  }

  // add notes new bytes and returns the leaves that can be checked now.
  add(lo: number, hi: number, by: string): number[] {
    const last = this.came[this.came.length - 1];
    if (last && last.by === by && last.hi === lo) last.hi = hi;
    else this.came.push({ lo, hi, by });
    this.left -= hi - lo;
    const check: number[] = [];
    for (let i = Math.floor(lo / leafSize); i < this.missing.length; i++) {
      const [from, to] = this.bounds(i);
      if (from >= hi) break;
      this.missing[i]! -= Math.min(to, hi) - Math.max(from, lo);
      if (this.missing[i] === 0 && this.table) check.push(i);
    }
    return check;
  }

  // ready are the complete leaves that are not proven, once a table is there.
  ready(): number[] {
    return this.table ? this.missing.flatMap((m, i) => (m === 0 && !this.proven[i] ? [i] : [])) : [];
  }

  // complete reports whether all bytes are here and no table is.
  get complete(): boolean { return this.left === 0 && !this.table; }

  // check hashes a leaf whose bytes are all here.
  async check(leaf: number): Promise<Verdict> {
    const [lo, hi] = this.bounds(leaf);
    const hash = await digest(this.buf.slice(lo, hi));
    if (this.proven[leaf] || this.missing[leaf] !== 0) return { liars: [] };
    return same(hash, this.table!.subarray(32 * leaf, 32 * leaf + 32)) ? this.prove(leaf, lo) : this.dispute(leaf, lo, hi);
  }

  private prove(leaf: number, from: number): Verdict {
    this.proven[leaf] = true;
    let n = this.proven.indexOf(false);
    if (n < 0) n = this.proven.length;
    this.head = Math.min(n * leafSize, this.chunk.size);
    this.done = n === this.proven.length;
    const was = this.suspect.get(leaf), liars: string[] = [];
    this.suspect.delete(leaf);
    for (const o of was?.came ?? []) {
      if (!same(was!.bytes.subarray(o.lo - from, o.hi - from), this.buf.subarray(o.lo, o.hi))) liars.push(o.by);
    }
    return { liars };
  }

  // dispute takes a leaf back that did not match. Who brought all of it lied; where several
  // did, what came is kept until the right bytes tell who.
  private dispute(leaf: number, lo: number, hi: number): Verdict {
    const inside = this.came.filter((o) => o.hi > lo && o.lo < hi).map((o) => ({ lo: Math.max(o.lo, lo), hi: Math.min(o.hi, hi), by: o.by }));
    this.came = this.came.flatMap((o) => (o.hi <= lo || o.lo >= hi ? [o] : [{ ...o, hi: lo }, { ...o, lo: hi }].filter((p) => p.lo < p.hi)));
    this.missing[leaf] = hi - lo;
    this.left += hi - lo;
    const again = { lo, hi };
    if (inside.every((o) => o.by === inside[0]!.by)) return { liars: [inside[0]!.by], again };
    if (!this.suspect.has(leaf)) this.suspect.set(leaf, { bytes: this.buf.slice(lo, hi), came: inside });
    return { liars: [], again };
  }

  // whole hashes the chunk where no table is known. If it is another one, who brought all of it
  // lied; where several did, all of it has to come from one.
  async whole(): Promise<Verdict> {
    if (this.base > 0) { // without a table all of it is needed
      const again = { lo: 0, hi: this.base };
      this.left += this.base;
      this.base = this.head = 0;
      this.proven = this.missing.map(() => false);
      return { liars: [], again };
    }
    const right = hex(await digest(this.buf)) === hex(this.chunk.id);
    if (right) {
      this.head = this.chunk.size;
      this.done = true;
      return { liars: [] };
    }
    const by = new Set(this.came.map((o) => o.by));
    this.came = [];
    this.left = this.chunk.size;
    this.missing = this.missing.map((_, i) => this.bounds(i)[1] - this.bounds(i)[0]);
    return { liars: by.size === 1 ? [...by] : [], again: { lo: 0, hi: this.chunk.size } };
  }

  // shares are how many bytes each store brought.
  shares(): Map<string, number> {
    const m = new Map<string, number>();
    for (const o of this.came) m.set(o.by, (m.get(o.by) ?? 0) + o.hi - o.lo);
    return m;
  }
}
