// Reads chunks from several stores at once, as the policy decides, and proves what came.
import { hex, leafSize } from "./format";
import { Ledger, Verdict } from "./ledger";
import { Chunk, fragmentsOf } from "./manifest";
import { Action, Attempt, decide, Piece, View } from "./policy";
import { now, Refused, Store } from "./store";

const recheck = 50e6; // how long a piece waits at most that the policy does not start, ns

export interface Wanted {
  chunk: Chunk;
  holders: Store[];
  from?: number; // what lies before is not wanted
  due(): number; // when its first byte is needed, ns on now's clock
  pace(offset: number): number; // by how much later what begins at an offset is needed, ns
  proven(head: number, buf: Uint8Array<ArrayBuffer>): void; // bytes from the start, as far as they are right
}

export interface Brought { shares: Map<string, number>; steals: number; liars: string[]; seconds: number; }

// Exhausted is the end of a chunk that none of its holders can bring.
export class Exhausted extends Error {}

interface Run { store: Store; piece: Part; pos: number; owed: number; started: number; progress: number; answered: boolean; table: boolean; stop: AbortController; }
interface Part { id: number; from: number; to: number; whole: boolean; runs: Run[]; }

class Reading {
  parts: Part[] = [];
  failed = new Set<Store>();
  liars = new Set<string>();
  steals = 0; asked = 0; fresh = false; over = false;
  readonly arrived = now();
  readonly ends: number[] = []; // where fragments end, at leaves' borders
  readonly ledger: Ledger;
  readonly grain: number;
  finish!: (e?: Error) => void;
  readonly ended: Promise<void>;

  constructor(readonly id: number, readonly want: Wanted, nextID: () => number) {
    const c = want.chunk;
    this.grain = c.root ? leafSize : 1;
    const base = c.root ? Math.floor((want.from ?? 0) / leafSize) * leafSize : 0;
    this.ledger = new Ledger(c, base);
    let at = 0;
    for (const f of fragmentsOf(c)) {
      at += f.size;
      this.ends.push(Math.min(Math.ceil(at / this.grain) * this.grain, c.size));
    }
    this.parts.push({ id: nextID(), from: base, to: c.size, whole: false, runs: [] });
    this.ended = new Promise((yes, no) => { this.finish = (e) => (e ? no(e) : yes()); });
  }

  insert(p: Part) {
    this.parts.push(p);
    this.parts.sort((a, b) => a.from - b.from);
  }

  fragmentEnd(at: number): number {
    return this.ends.find((e) => e > at) ?? this.want.chunk.size;
  }
}

export class Engine {
  useful = 0; extra = 0;
  onliar: (store: Store, what: string) => void = () => undefined;
  private readings: Reading[] = [];
  private ids = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private queued = false;

  constructor(private seed: bigint) {}

  get busy(): number { return this.readings.length; }

  async read(want: Wanted, signal: AbortSignal): Promise<Brought> {
    const r = new Reading(++this.ids, want, () => ++this.ids);
    const stop = () => this.end(r, new DOMException("not wanted any more", "AbortError"));
    signal.addEventListener("abort", stop);
    this.readings.push(r);
    if (signal.aborted) stop();
    this.wake();
    try {
      await r.ended;
    } finally {
      signal.removeEventListener("abort", stop);
    }
    for (const id of r.ledger.shares().keys()) {
      const s = want.holders.find((h) => h.id === id);
      if (s) s.chunks++;
    }
    return { shares: r.ledger.shares(), steals: r.steals, liars: [...r.liars], seconds: (now() - r.arrived) / 1e9 };
  }

  // wake has the policy look at everything, once what runs now is through.
  wake() {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.turn();
    });
  }

  private turn() {
    clearTimeout(this.timer);
    for (let round = 0; round < 64; round++) {
      const stores = [...new Set(this.readings.flatMap((r) => r.want.holders))];
      for (const s of stores) void s.dial();
      const { view, parts } = this.look(stores);
      const d = decide(view, this.seed);
      let acted = false;
      for (const a of d.actions) acted = this.apply(a, stores, parts) || acted;
      if (acted) continue;
      // Of a piece that nobody is asked for while nobody has room no byte comes that would tell.
      const waits = this.readings.some((r) => r.parts.some((p) => p.runs.length === 0)), again = now() + recheck;
      const wake = waits && (d.wake === 0 || d.wake > again) ? again : d.wake;
      if (wake > 0) this.timer = setTimeout(() => this.turn(), Math.max(1, (wake - now()) / 1e6));
      break;
    }
    for (const r of [...this.readings]) {
      const left = r.want.holders.filter((h) => !r.failed.has(h) && !h.hopeless);
      if (left.length === 0 && r.parts.every((p) => p.runs.length === 0)) this.end(r, new Exhausted("no store can bring chunk " + hex(r.want.chunk.id).slice(0, 8)));
    }
  }

  private look(stores: Store[]): { view: View; parts: Map<number, [Reading, Part]> } {
    const at = now(), index = new Map(stores.map((s, i) => [s, i])), parts = new Map<number, [Reading, Part]>(), pieces: Piece[] = [];
    const view: View = { now: at, stores: stores.map((s) => s.signals(at)), pieces, useful: this.useful, extra: this.extra };
    for (const r of this.readings) {
      const due = Math.max(r.arrived, r.want.due());
      for (const p of r.parts) {
        parts.set(p.id, [r, p]);
        pieces.push({
          id: p.id, chunk: r.id, from: p.from, to: p.to, arrived: r.arrived, due: due + r.want.pace(p.from), fragment: r.fragmentEnd(p.from), grain: r.grain, whole: p.whole,
          holders: r.want.holders.filter((h) => !r.failed.has(h)).map((h) => index.get(h)!),
          running: p.runs.map((a): Attempt => ({
            store: index.get(a.store)!, at: a.pos, to: a.pos + a.owed, before: 0, started: a.started, progress: a.progress, answered: a.answered,
          })),
        });
      }
    }
    pieces.sort((a, b) => a.due - b.due || a.chunk - b.chunk || a.from - b.from);
    const owed = stores.map(() => 0);
    for (const a of pieces.flatMap((p) => p.running).sort((x, y) => x.started - y.started)) {
      a.before = owed[a.store]!;
      owed[a.store]! += a.to - a.at;
    }
    return { view, parts };
  }

  private apply(a: Action, stores: Store[], parts: Map<number, [Reading, Part]>): boolean {
    const store = stores[a.store]!;
    if (a.kind === "eject") {
      store.eject(true);
      return true;
    }
    const found = parts.get(a.piece);
    if (!found || found[0].over) return false;
    let [r, p] = found;
    if (r.failed.has(store) || p.runs.some((x) => x.store === store) || store.link !== "quic") return false;
    if (a.kind === "take") {
      if (p.runs.length === 0 || a.from <= p.from || a.from >= p.to) return false;
      const tail: Part = { id: ++this.ids, from: a.from, to: p.to, whole: false, runs: [] };
      p.to = a.from;
      for (const x of p.runs) this.leaveOff(x, a.from);
      r.insert(tail);
      r.steals++;
      this.launch(r, tail, store, a.urgency);
      return true;
    }
    if (p.runs.length > 0) {
      if (p.whole) return false;
      r.steals++;
    } else if (!p.whole) {
      const to = Math.min(p.to, a.from + a.length);
      if (a.from !== p.from || to <= p.from) return false;
      if (to < p.to) {
        r.insert({ id: ++this.ids, from: to, to: p.to, whole: false, runs: [] });
        p.to = to;
      }
    }
    this.launch(r, p, store, a.urgency);
    return true;
  }

  private leaveOff(x: Run, at: number) {
    const keep = Math.min(x.owed, Math.max(0, at - x.pos));
    x.store.cut(x.owed - keep);
    x.owed = keep;
  }

  private launch(r: Reading, p: Part, store: Store, urgency: number) {
    const x: Run = { store, piece: p, pos: p.from, owed: p.to - p.from, started: now(), progress: now(), answered: false, table: r.ledger.wantsTable && !r.parts.some((q) => q.runs.some((o) => o.table)), stop: new AbortController() };
    p.runs.push(x);
    r.asked++;
    store.begin(x.owed);
    void this.run(r, x, urgency);
  }

  private async run(r: Reading, x: Run, urgency: number) {
    const { store } = x, length = x.owed;
    let error: unknown;
    try {
      await store.read({ chunk: r.want.chunk.id, offset: x.pos, length, leaves: x.table, fresh: x.table && r.fresh, urgency }, {
        head: (h, ttfb) => {
          x.answered = true;
          x.progress = now();
          store.first(ttfb);
          if (h.status < 400 && h.body !== length) throw new Error(`${h.body} bytes where ${length} were asked for`);
        },
        table: (t) => void this.learn(r, x, t),
        bytes: (b) => this.bring(r, x, b),
      }, x.stop.signal);
      if (x.owed > 0 && !x.stop.signal.aborted) error = new Error("the answer ends early");
    } catch (e) {
      error = e;
    }
    x.table = false;
    x.piece.runs = x.piece.runs.filter((o) => o !== x);
    store.end(x.owed, x.answered);
    x.owed = 0;
    if (!r.over && error && !x.stop.signal.aborted) this.broke(r, store, error);
    else if (x.answered && !error) store.succeeded();
    this.wake();
  }

  // broke judges an attempt that ended early. Who is busy, or whose session ended, may be asked
  // again; who has not what it should is not asked again for this chunk.
  private broke(r: Reading, store: Store, error: unknown) {
    if (error instanceof Refused && (error.status === 503 || error.status === 504)) store.eject(false);
    else if (error instanceof Refused) r.failed.add(store);
    else if (store.link === "quic") store.eject(false);
    store.error = error instanceof Error ? error.message : String(error);
  }

  private async learn(r: Reading, x: Run, table: Uint8Array<ArrayBuffer>) {
    const good = await r.ledger.learn(table);
    x.table = false;
    if (!good) r.fresh = true; // whoever is asked next makes it anew
    await this.prove(r, r.ledger.ready());
  }

  // bring takes bytes of an attempt; it reports whether more are wanted.
  private bring(r: Reading, x: Run, b: Uint8Array): boolean {
    x.progress = now();
    const owed = Math.min(b.length, x.owed);
    x.store.received(b.length, owed);
    const p = x.piece, lo = Math.max(x.pos, p.from), hi = Math.min(x.pos + b.length, p.to);
    const fresh = r.over ? 0 : Math.max(0, hi - lo);
    this.useful += fresh;
    this.extra += b.length - fresh;
    if (fresh > 0) {
      r.ledger.buf.set(b.subarray(lo - x.pos, hi - x.pos), lo);
      p.from = hi;
    }
    x.pos += b.length;
    x.owed -= owed;
    if (fresh > 0) {
      const check = r.ledger.add(lo, hi, x.store.id);
      if (p.from >= p.to) {
        r.parts = r.parts.filter((q) => q !== p);
        for (const o of p.runs) {
          if (o === x) continue;
          this.leaveOff(o, 0);
          o.stop.abort();
        }
      }
      void this.prove(r, check);
      if (r.ledger.complete) void this.settle(r, r.ledger.whole());
      this.wake();
    }
    return x.owed > 0;
  }

  private async prove(r: Reading, leaves: number[]) {
    await Promise.all(leaves.map((l) => this.settle(r, r.ledger.check(l))));
  }

  private async settle(r: Reading, check: Promise<Verdict>) {
    const before = r.ledger.head, v = await check;
    if (r.over) return;
    for (const id of v.liars) {
      const s = r.want.holders.find((h) => h.id === id);
      if (!s) continue;
      r.failed.add(s);
      r.liars.add(id);
      s.lies++;
      s.eject(false);
      this.onliar(s, `wrong bytes of chunk ${hex(r.want.chunk.id).slice(0, 8)}`);
      for (const p of r.parts) for (const x of p.runs) if (x.store === s) x.stop.abort();
    }
    if (v.again) {
      r.insert({ id: ++this.ids, from: v.again.lo, to: v.again.hi, whole: true, runs: [] });
      this.wake();
    }
    if (r.ledger.head > before || r.ledger.done) r.want.proven(r.ledger.head, r.ledger.buf);
    if (r.ledger.done) this.end(r);
  }

  private end(r: Reading, error?: Error) {
    if (r.over) return;
    r.over = true;
    this.readings = this.readings.filter((o) => o !== r);
    for (const p of r.parts) {
      for (const x of p.runs) {
        this.leaveOff(x, 0);
        x.stop.abort();
      }
    }
    r.parts = [];
    r.finish(error);
    this.wake();
  }
}
