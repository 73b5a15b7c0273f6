// Which bytes to ask from which store: the decisions of quicclient/policy's Smart, whose
// words and order these are. TestPlayerDecidesAsTheClient (web) holds both to the same answers,
// so that times here are whole nanoseconds too, and divisions are cut where Go cuts them.

export interface Signals {
  id: string; up: boolean; // connected and not ejected
  ejected: boolean; link: "idle" | "dialing" | "quic" | "down"; down: boolean; // the catalog's opinion
  conns: number; measured: boolean; rtt: number; minRtt: number; rttVar: number; loss: number;
  silence: number; ttfb: number; fast: number; slow: number; recent: number; busied: number; sampled: boolean;
  pending: number; inFlight: number; bytes: number; // received in all
}
export interface Attempt { store: number; at: number; to: number; before: number; started: number; progress: number; answered: boolean; }
export interface Piece {
  id: number; chunk: number; from: number; to: number; arrived: number; due: number; fragment: number; grain: number; whole: boolean;
  holders: number[]; running: Attempt[];
}
export interface View { now: number; stores: Signals[]; pieces: Piece[]; useful: number; extra: number; }
export type Kind = "start" | "take" | "eject";
export interface Action { kind: Kind; piece: number; store: number; from: number; length: number; urgency: number; }
export interface Decision { actions: Action[]; wake: number; }

const ms = 1e6, second = 1e9;
const lateMargin = 750 * ms, near = second, soon = 2 * second, pullMin = 65536, pullMax = 524288, pullTime = 0.25, roomTime = 50 * ms;
const ahead = 7 * second, unhurried = 1800 * second, queueing = 20 * ms;
const minGain = 30 * ms, gainPart = 0.2, extraPart = 0.03, unknownGain = 300 * ms, sliver = 16384, lookAgain = 50 * ms, dialPatience = 350 * ms;
const firstWindow = 32 * 1252, ttfbMax = 500 * ms, busyEnough = 300 * ms, coarse = 4 * ms, gone = 10 * second, lossy = 0.003;
const minPatience = 200 * ms, maxAckDelay = 25 * ms, granularity = 1 * ms, stuckFactor = 5;
const urgencyLate = 1, urgencyDefault = 3;

const secs = (d: number) => Math.trunc(d / second) + (d % second) / second;
const duration = (s: number) => Math.trunc(Math.min(s, 3600) * second);
const left = (p: Piece) => p.to - p.from;

function patience(s: Signals): number {
  return s.measured ? Math.max(3 * (s.rtt + Math.max(4 * s.rttVar, granularity) + maxAckDelay), minPatience) : 2 * minPatience;
}

function silentAt(s: Signals, a: Attempt, now: number): number {
  const p = patience(s), alive = Math.max(a.progress, now - s.silence);
  return Math.min(alive + p, a.progress + stuckFactor * p);
}

// queues reports whether packets wait on the way to or from a store.
function queues(s: Signals): boolean { return s.minRtt > 0 && s.rtt - s.minRtt > queueing; }

export function rateOf(s: Signals): number {
  if (!s.sampled) return firstWindow * Math.max(s.conns, 1) / secs(Math.max(s.rtt, 5 * ms));
  let r = s.fast === 0 || s.slow === 0 ? Math.max(s.fast, s.slow) : Math.min(s.fast, s.slow);
  if (s.busied >= busyEnough) r = Math.min(r, 2 * s.recent);
  return Math.max(r, 1);
}

// decide says what to do now, and when to ask again at the latest (0: when something happens).
export function decide(view: View, seed: bigint): Decision {
  return new Turn(view, seed).decide();
}

class Turn {
  private rates: number[];
  private unasked = 0;
  private running = 0; // requests
  private actions: Action[] = [];
  private wake = 0;
  private acted = new Set<number>();

  constructor(private v: View, private seed: bigint) {
    this.rates = v.stores.map(rateOf);
    for (const s of v.stores) this.running += s.inFlight;
    for (const p of v.pieces) if (p.running.length === 0) this.unasked += left(p);
  }

  decide(): Decision {
    const v = this.v;
    for (const p of v.pieces) this.silent(p);
    let held = Infinity; // when the first fragment is due that is late or nearly so
    for (const p of v.pieces) {
      if (p.due <= v.now) held = Math.min(held, v.now);
      if (this.acted.has(p.id)) continue;
      if (p.due > held && p.running.length === 0) continue; // what comes later takes nothing from it
      if (p.running.length >= 1) {
        if (this.rescue(p) && p.due < v.now + near) held = Math.min(held, p.due);
      } else this.pull(p);
    }
    if (this.actions.length === 0) this.steal();
    for (const p of v.pieces) if (p.running.length > 0) this.wakeBy(v.now + lookAgain);
    return { actions: this.actions, wake: this.wake };
  }

  private wakeBy(at: number) {
    if (this.wake === 0 || at < this.wake) this.wake = at;
  }

  private act(kind: Kind, p: Piece, store: number, from: number, length: number) {
    this.actions.push({ kind, piece: p.id, store, from, length, urgency: p.due - this.v.now < soon ? urgencyLate : urgencyDefault });
    this.acted.add(p.id);
    const s = this.v.stores[store]!;
    s.pending += length;
    s.inFlight++;
    this.running++;
  }

  private silent(p: Piece) {
    if (p.running.length === 0) return;
    const { stores, now } = this.v;
    for (const a of p.running) {
      const until = silentAt(stores[a.store]!, a, now);
      if (now < until) return this.wakeBy(until);
    }
    for (const a of p.running) {
      const s = stores[a.store]!;
      if (!s.ejected && now - s.silence <= a.progress) { // the store, not one of its answers
        this.actions.push({ kind: "eject", piece: 0, store: a.store, from: 0, length: 0, urgency: 0 });
        s.ejected = true;
        s.up = false;
      }
    }
    const best = this.quickest(p, left(p));
    if (best >= 0 && !p.whole) this.act("start", p, best, p.from, left(p));
  }

  private late(p: Piece, rest: number) {
    return this.v.now + rest > p.due - lateMargin;
  }

  private rescue(p: Piece): boolean {
    const rest = this.rest(p), late = this.late(p, rest);
    if (late) this.move(p, rest, true);
    return late;
  }

  private pull(p: Piece) {
    if (p.whole) return this.pullAll(p);
    let best = -1, bestN = 0, bestT = Infinity, anyUp = false;
    for (const h of p.holders) {
      if (!this.v.stores[h]!.up) continue;
      anyUp = true;
      const n = this.size(p, h);
      if (this.roomFor(p, h) && this.before(h, this.takes(h, n), best, bestT)) [best, bestN, bestT] = [h, n, this.takes(h, n)];
    }
    if (best >= 0 && p.due - this.v.now >= soon) {
      best = this.leastUsed(p, best, bestT + Math.trunc(bestT / 2));
      bestN = this.size(p, best);
      bestT = this.takes(best, bestN);
    }
    if (!anyUp) this.unreachable(p);
    else if (best < 0) return; // bytes that come make room
    else if (this.quickerFull(p, best, bestN, bestT) && bestT > this.others(p, best)) return; // the quicker one will have room soon
    else {
      this.act("start", p, best, p.from, bestN);
      this.unasked -= bestN;
    }
  }

  private pullAll(p: Piece) {
    const up = untried(p).filter((h) => this.v.stores[h]!.up).sort((a, b) => this.takes(a, left(p)) - this.takes(b, left(p)));
    for (const h of up) {
      if (this.room(h) || this.late(p, this.takes(h, left(p)))) {
        this.act("start", p, h, p.from, left(p));
        break;
      }
    }
    if (up.length === 0) this.unreachable(p);
  }

  private unreachable(p: Piece) {
    const ripe = p.arrived + dialPatience;
    if (this.v.now < ripe) return this.wakeBy(ripe);
    const c = best(this.v, untried(p));
    if (c.length === 0) return;
    const h = c[p.id % c.length]!;
    if (this.v.stores[h]!.inFlight > 0 && !p.whole) return this.wakeBy(this.v.now + lookAgain);
    this.act("start", p, h, p.from, p.whole ? left(p) : Math.min(left(p), pullMax));
  }

  private steal() {
    const pieces = this.v.pieces;
    for (let i = 0; i < pieces.length;) {
      // The pieces of a fragment lie side by side; the one that ends last holds it up.
      let j = i, last = -1, longest = 0;
      for (; j < pieces.length && pieces[j]!.chunk === pieces[i]!.chunk && pieces[j]!.fragment === pieces[i]!.fragment; j++) {
        const p = pieces[j]!;
        if (p.running.length === 0 || this.acted.has(p.id)) continue;
        const rest = this.rest(p);
        if (last < 0 || rest > longest) [last, longest] = [j, rest];
      }
      if (last >= 0 && this.move(pieces[last]!, longest, this.late(pieces[last]!, longest))) return;
      i = j;
    }
  }

  private move(p: Piece, rest: number, late: boolean): boolean {
    if (p.whole) return false;
    if (!late && this.v.extra > extraPart * this.v.useful) return false;
    let thief = -1, cut = 0, end = Infinity;
    for (const h of untried(p)) {
      const s = this.v.stores[h]!;
      if (!s.up || !this.roomFor(p, h) || (!s.sampled && rest < unknownGain)) continue;
      const [c, e] = this.meet(p, h);
      if (e < end) [thief, cut, end] = [h, c, e];
    }
    const gain = rest - end;
    if (thief < 0 || gain < minGain || (!late && secs(gain) < gainPart * secs(rest))) return false;
    if (cut <= p.from) this.act("start", p, thief, p.from, left(p));
    else this.act("take", p, thief, cut, p.to - cut);
    return true;
  }

  private room(h: number): boolean {
    const s = this.v.stores[h]!;
    if (!s.sampled) return s.inFlight < Math.max(s.conns, 1);
    if (s.loss > lossy && !queues(s) && s.inFlight < s.conns) return true;
    return s.pending < this.rates[h]! * secs(s.rtt + roomTime);
  }

  // roomFor is room for a piece: what is due much later waits where packets of a store queue.
  private roomFor(p: Piece, h: number): boolean {
    const wait = p.due - this.v.now, makesWay = this.running > 0 && wait > ahead && wait < unhurried && queues(this.v.stores[h]!);
    return !makesWay && this.room(h);
  }

  private latency(h: number): number {
    const s = this.v.stores[h]!;
    return s.rtt + Math.trunc(Math.min(Math.max(s.ttfb - s.rtt, 0), ttfbMax) / 2);
  }

  private takes(h: number, n: number): number {
    return this.latency(h) + duration((this.v.stores[h]!.pending + n) / this.rates[h]!);
  }

  private size(p: Piece, h: number): number {
    let n = pullMin;
    if (this.v.stores[h]!.sampled) {
      let all = 0;
      for (const o of p.holders) if (this.v.stores[o]!.up) all += this.rates[o]!;
      const part = this.unasked / 2 * this.rates[h]! / Math.max(all, 1);
      n = Math.trunc(Math.min(Math.max(Math.min(this.rates[h]! * pullTime, part), pullMin), pullMax));
    }
    n = Math.trunc((n + p.grain - 1) / p.grain) * p.grain;
    let end = p.to;
    if (p.due - this.v.now < soon && p.fragment > p.from) end = Math.min(end, p.fragment);
    let to = p.from + n;
    to -= to % p.grain; // a leaf is whole where its end is a multiple
    if (to <= p.from) to += p.grain;
    if (end - to < sliver) to = end;
    return to - p.from;
  }

  private quickest(p: Piece, n: number): number {
    let best = -1, bestT = Infinity;
    for (const h of untried(p)) {
      if (!this.v.stores[h]!.up) continue;
      const t = this.takes(h, n);
      if (this.before(h, t, best, bestT)) [best, bestT] = [h, t];
    }
    return best;
  }

  private before(a: number, ta: number, b: number, tb: number): boolean {
    if (b < 0) return true;
    if (Math.trunc(ta / coarse) !== Math.trunc(tb / coarse)) return ta < tb;
    return this.mark(a) < this.mark(b);
  }

  // mark orders stores for this client alone.
  private mark(h: number): bigint {
    let x = this.seed;
    const id = this.v.stores[h]!.id.replaceAll("-", "");
    for (let i = 0; i < id.length; i += 2) x = BigInt.asUintN(64, (x ^ BigInt(parseInt(id.slice(i, i + 2), 16))) * 1099511628211n); // FNV-1a
    return x;
  }

  // leastUsed is the holder with room that has brought the least of those that would end in time.
  private leastUsed(p: Piece, best: number, within: number): number {
    const used = (h: number) => this.v.stores[h]!.bytes + this.v.stores[h]!.pending;
    for (const h of p.holders) {
      if (this.v.stores[h]!.up && this.roomFor(p, h) && used(h) < used(best) && this.takes(h, this.size(p, h)) <= within) best = h;
    }
    return best;
  }

  private quickerFull(p: Piece, store: number, n: number, t: number): boolean {
    return p.holders.some((h) => h !== store && this.v.stores[h]!.up && !this.room(h) && this.takes(h, n) < t);
  }

  private others(p: Piece, store: number): number {
    let bytes = 0, rate = 0;
    for (const h of p.holders) {
      const s = this.v.stores[h]!;
      if (h === store || !s.up) continue;
      bytes += s.pending;
      rate += this.rates[h]!;
    }
    return rate === 0 ? Infinity : duration((bytes + this.unasked) / rate);
  }

  private attempt(a: Attempt): number {
    const s = this.v.stores[a.store]!, now = this.v.now;
    if (s.ejected) return gone;
    let idle = now - a.progress;
    if (!a.answered) {
      idle = Math.max(idle, this.latency(a.store)); // the rest of the latency, or what it is late by
      idle -= Math.min(now - a.started, this.latency(a.store));
    }
    return idle + duration((a.before + a.to - a.at) / this.rates[a.store]!);
  }

  private rest(p: Piece): number {
    return p.running.length === 0 ? gone : Math.min(...p.running.map((a) => this.attempt(a)));
  }

  // meet is where a store would take over a piece so that both ends meet, and when that is.
  private meet(p: Piece, h: number): [cut: number, end: number] {
    const whole = this.takes(h, left(p));
    let at = 0, soonest = Infinity, rate = 1;
    for (const a of p.running) {
      const t = this.attempt(a);
      if (t < soonest && !this.v.stores[a.store]!.ejected) [at, soonest, rate] = [a.at, t, this.rates[a.store]!];
    }
    if (soonest === Infinity) return [p.from, whole];
    const mine = this.rates[h]!, begin = this.takes(h, 0);
    const x = secs(soonest - begin) / (1 / rate + 1 / mine);
    if (x <= sliver) return [p.to, Infinity];
    if (p.to - at - x < sliver) return [p.from, whole];
    let cut = p.to - Math.trunc(x);
    cut -= cut % Math.min(p.grain, 8192);
    return [cut, begin + duration((p.to - cut) / mine)];
  }
}

function untried(p: Piece): number[] {
  return p.holders.filter((h) => !p.running.some((a) => a.store === h));
}

// best are those of the candidates that can be reached as well as any other.
function best(v: View, candidates: number[]): number[] {
  const rank = (i: number) => {
    const s = v.stores[i]!;
    return s.ejected || s.link === "down" ? 3 : s.down ? 2 : s.link === "quic" ? 0 : 1;
  };
  const top = Math.min(...candidates.map(rank));
  return candidates.filter((c) => rank(c) === top);
}
