// One store as a page knows it: its WebTransport session, and what reading from it tells.
import { base64, Head, head, headSize, Request, request, signals, signalsSize, tail, tailSize, Told } from "./format";
import { rateOf, Signals } from "./policy";

export const now = () => Math.round(performance.now() * 1e6); // nanoseconds, as the policy counts

const fastTau = 2e9, slowTau = 10e9, recentTau = 0.2e9, sampleEvery = 50e6, sampleBytes = 32 << 10, lossWeight = 400, smoothing = 1 / 8;
const lossy = 0.003; // as the policy's
const defaultCwnd = 32 * 1252, ejectMin = 250e6, ejectMax = 2e9;
const dialTimeout = 5000, lastReads = 15_000;
// Browsers punish handshakes that come to nothing with ever longer waits: so many tries in so
// long, and none at a store of which the gateway knows no door.
const tries = 3, triesIn = 300_000, firstPause = 1000;

export interface Door { store: string; started: string; addr: string; hashes: string[]; }

// Refused is an answer that says why there are no bytes.
export class Refused extends Error {
  constructor(readonly status: number, readonly retryAfter: number, what: string) { super(what); }
}

export interface Taker {
  head(h: Head, ttfb: number): void;
  table(t: Uint8Array<ArrayBuffer>): void;
  // bytes takes a part of the body and reports whether more is wanted.
  bytes(b: Uint8Array): boolean;
}

export class Store {
  link: Signals["link"] = "idle";
  down = false; // the catalog's opinion
  bytes = 0; chunks = 0; errors = 0; lies = 0;
  private least = Infinity; // path, ns
  told: Told = { rtt: 0, cwnd: 0, sent: 0, lost: 0, busy: 0, disk: 0, decode: 0 };
  error = "";
  onchange: () => void = () => undefined;

  token = ""; // of a private film
  private sessions = new Map<WebTransport, number>(); // with the reads of each
  private widened = false;
  private dials: number[] = [];
  private lost = -1; // when a session ended or a dial failed, ms; −1: none has
  private news = 0; // when the gateway last spoke of the door, ms
  private inFlight = 0; private pending = 0; private bodies = 0;
  private window = 0; private carry = 0; private acc = 0; private fast = 0; private slow = 0; private recent = 0;
  private busy = 0; private ghosts = 0; private ghostsAt = 0; private ttfb = 0; private ttfbs: number[] = []; private lastByte = 0; private heard = 0;
  private loss = 0; private failures = 0; private ejectUntil = 0; private silentSince = 0;

  constructor(readonly id: string, public host: string, public addr: string, private door: Door | undefined) {}

  // open takes what the gateway says of the store's door now; undefined: it has none.
  open(door: Door | undefined) {
    if (door && this.door && (door.addr !== this.door.addr || door.started !== this.door.started)) this.dials = []; // another process
    this.door = door;
    this.news = performance.now();
  }

  // canDial reports whether a handshake may be tried now: after one that came to nothing, or a
  // session that ended, the gateway has to know of a door first.
  canDial(): boolean {
    const at = performance.now();
    this.dials = this.dials.filter((t) => at - t < triesIn);
    if (!this.door || this.link === "quic" || this.link === "dialing" || this.dials.length >= tries) return false;
    return this.lost < 0 || (this.news > this.lost && at >= this.lost + firstPause * 2 ** this.dials.length - firstPause);
  }

  // wantsNews reports whether the gateway has to be asked for the door.
  get wantsNews(): boolean { return this.link !== "quic" && this.link !== "dialing" && (!this.door || this.lost >= 0); }

  // wasOpen reports whether a session with it has ended.
  get wasOpen(): boolean { return this.lost >= 0; }

  get hopeless(): boolean { return this.link !== "quic" && this.link !== "dialing" && !this.canDial(); }

  async dial(): Promise<void> {
    if (!this.door || !this.canDial()) return;
    this.dials.push(performance.now());
    this.link = "dialing";
    let session: WebTransport;
    try {
      session = await this.connect(this.door);
    } catch (e) {
      if (!this.isDialing()) return;
      this.link = "down";
      this.lost = performance.now();
      this.error = "no session: " + (e instanceof Error ? e.message : String(e));
      this.onchange();
      return;
    }
    if (!this.isDialing()) return end([session]); // it was closed meanwhile
    this.link = "quic";
    this.error = "";
    this.dials = []; // it worked
    this.lost = -1;
    this.ejectUntil = this.silentSince = 0;
    this.widened = false;
    this.take(session);
  }

  private isDialing(): boolean { return this.link === "dialing"; }

  private async connect(door: Door): Promise<WebTransport> {
    const hashes = door.hashes.map((h) => ({ algorithm: "sha-256", value: base64(h) }));
    const session = new WebTransport(`https://${door.addr}/v1/read${this.token ? "?t=" + encodeURIComponent(this.token) : ""}`, { serverCertificateHashes: hashes, congestionControl: "throughput" });
    session.closed.catch(() => undefined); // told of below
    try {
      await within(dialTimeout, session.ready);
    } catch (e) {
      try { session.close(); } catch { /* it never opened */ }
      throw e;
    }
    return session;
  }

  // take has a session read from until it ends; with the last one the store is down.
  private take(session: WebTransport) {
    this.sessions.set(session, 0);
    void session.closed.catch(() => undefined).then(() => {
      if (!this.sessions.delete(session) || this.sessions.size > 0) return;
      this.link = "down";
      this.lost = performance.now();
      this.onchange();
    });
    void this.listen(session);
    this.onchange();
  }

  // widen gives a store whose packets are lost a second session, as the smart client has two
  // connections to each: the loss of one holds up half of what comes.
  private async widen() {
    if (this.widened || !this.door || this.link !== "quic" || this.loss <= lossy) return;
    this.widened = true;
    const token = this.token;
    try {
      const session = await this.connect(this.door);
      if (this.link === "quic" && token === this.token) this.take(session);
      else session.close();
    } catch { /* one has to do */ }
  }

  // renew goes on with another token: what is being read ends on the session where it began.
  async renew(token: string): Promise<void> {
    if (token === this.token) return;
    this.token = token;
    const old = [...this.sessions.keys()];
    if (old.length === 0 || this.link !== "quic") return;
    this.sessions.clear();
    this.link = "idle";
    setTimeout(() => end(old), lastReads);
    await this.dial();
  }

  close() {
    const old = [...this.sessions.keys()];
    this.sessions.clear();
    this.link = "idle";
    end(old);
  }

  // listen takes the signals that come without a read.
  private async listen(session: WebTransport) {
    try {
      const r = (session.datagrams.readable as ReadableStream<Uint8Array>).getReader();
      for (;;) {
        const { value, done } = await r.read();
        if (done) return;
        this.heard = now();
        if (value.length === signalsSize) this.hear(signals(value));
      }
    } catch { /* the session's end tells */ }
  }

  // read asks for bytes and hands them on as they come, until all came, the taker has enough
  // or signal aborts it.
  async read(r: Request, taker: Taker, signal: AbortSignal): Promise<void> {
    const session = [...this.sessions.keys()].sort((a, b) => this.sessions.get(a)! - this.sessions.get(b)!)[0];
    if (!session) throw new Error("no session");
    const asked = now(), reads = (n: number) => { if (this.sessions.has(session)) this.sessions.set(session, this.sessions.get(session)! + n); };
    reads(1);
    try {
      await this.ask(session, asked, r, taker, signal);
    } finally {
      reads(-1);
    }
    void this.widen();
  }

  private async ask(session: WebTransport, asked: number, r: Request, taker: Taker, signal: AbortSignal): Promise<void> {
    const stream = await session.createBidirectionalStream();
    const reader = (stream.readable as ReadableStream<Uint8Array>).getReader();
    const stop = () => {
      reader.cancel().catch(() => undefined);
      stream.writable.abort().catch(() => undefined);
    };
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop);
    try {
      const writer = stream.writable.getWriter();
      await writer.write(request(r));
      writer.close().catch(() => undefined); // an answer may come before that
      const take = new Exactly(reader);
      const h = head(await take.bytes(headSize));
      this.hear(h.told);
      taker.head(h, now() - asked);
      if (h.status >= 400) throw new Refused(h.status, h.retryAfter, problem(h.status, await take.bytes(Math.min(h.body, 16384))));
      if (h.leaves > 0) taker.table((await take.bytes(h.leaves)).slice());
      for (let left = h.body; left > 0;) {
        const b = await take.some(left);
        left -= b.length;
        if (!taker.bytes(b)) return stop();
      }
      this.hear(tail(await take.bytes(tailSize)));
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  hear(t: Told) {
    if (t.sent > 0) { // a sample of ten packets says less than one of a thousand
      this.loss += t.sent / (t.sent + lossWeight) * (Math.min(1, t.lost / t.sent) - this.loss);
    }
    if (t.rtt > 0) this.told = t;
    if (this.ttfbs.length && this.path > 0) this.least = Math.min(this.least, this.path);
  }

  // What attempts tell, in the words of quicclient/stores.
  begin(n: number) {
    const at = now();
    if (this.pending === 0) {
      this.busy = at;
      this.lastByte = Math.max(this.lastByte, at);
    }
    this.inFlight++;
    this.pending += n;
  }

  first(ttfb: number) {
    this.lastByte = this.heard = now();
    this.ttfb = this.ttfb === 0 ? ttfb : this.ttfb + smoothing * (ttfb - this.ttfb);
    this.ttfbs.push(ttfb);
    if (this.ttfbs.length > 8) this.ttfbs.shift();
    if (++this.bodies === 1) this.window = now() - this.carry; // short bodies make a sample together
  }

  received(n: number, owed: number) {
    const at = now();
    this.lastByte = this.heard = at;
    this.bytes += n;
    this.pending -= owed;
    this.acc += n;
    if (at - this.window >= sampleEvery) this.sample(at);
  }

  end(left: number, answered: boolean) {
    this.inFlight--;
    this.pending -= left;
    if (!answered || --this.bodies > 0) return;
    const at = now();
    this.carry = at - this.window;
    if (this.carry >= sampleEvery || this.acc >= sampleBytes) this.sample(at);
  }

  cut(n: number) {
    const at = now();
    this.pending -= n;
    // However many answers a seek leaves off at once, no more than a window of each session is on its way.
    const window = (this.told.cwnd || defaultCwnd) * Math.max(this.sessions.size, 1);
    this.ghosts = Math.min(this.ghostsNow(at) + Math.min(n, window), window);
    this.ghostsAt = at;
  }

  succeeded() {
    this.failures = this.ejectUntil = this.silentSince = 0;
  }

  // eject leaves the store alone for a while; one that fell silent until it is heard again.
  eject(silent: boolean) {
    const at = now();
    this.ejectUntil = at + Math.min(ejectMax, ejectMin * 2 ** Math.min(this.failures, 8));
    this.silentSince = silent ? at : 0;
    this.failures++;
    this.errors++;
  }

  private sample(at: number) {
    const dt = at - this.window;
    if (dt <= 0) return;
    [this.fast, this.slow, this.recent] = this.averages(at);
    [this.window, this.carry, this.acc] = [at, 0, 0];
  }

  private averages(at: number): [number, number, number] {
    const dt = at - this.window, rate = this.acc / (dt / 1e9);
    return [decay(this.fast, rate, dt, fastTau), decay(this.slow, rate, dt, slowTau), decay(this.recent, rate, dt, recentTau)];
  }

  private ghostsNow(at: number) {
    return Math.max(0, this.ghosts - Math.min(this.fast, this.slow) * ((at - this.ghostsAt) / 1e9));
  }

  // path is the round trip as a page sees it: beyond the store's own figure there are the
  // browser's processes between the page and its socket, so that the quickest of the last first
  // bytes counts, ns.
  private get path(): number {
    return Math.max(Math.round(this.told.rtt * 1e9), this.ttfbs.length ? Math.min(...this.ttfbs) : 0);
  }

  // signals is the store as the policy sees it.
  signals(at: number): Signals {
    const rtt = this.path;
    let [fast, slow, recent] = [this.fast, this.slow, this.recent];
    if (this.bodies > 0 && fast > 0 && at - this.window >= sampleEvery) [fast, slow, recent] = this.averages(at);
    const ejected = this.silentSince > 0 ? this.heard <= this.silentSince : at < this.ejectUntil;
    return {
      id: this.id, up: this.link === "quic" && !ejected, ejected, link: this.link, down: this.down, conns: this.link === "quic" ? this.sessions.size : 0,
      measured: this.told.rtt > 0, rtt, minRtt: Number.isFinite(this.least) ? this.least : 0, rttVar: Math.round(rtt / 4), loss: this.loss,
      silence: at - this.lastByte, ttfb: this.ttfb, fast, slow, recent, busied: this.pending > 0 ? at - this.busy : 0, sampled: this.fast > 0,
      pending: this.pending + Math.round(this.ghostsNow(at)), inFlight: this.inFlight, bytes: this.bytes,
    };
  }

  // score is how long a chunk of 2 MiB would take from here, seconds; Infinity where none can come.
  score(): number {
    const s = this.signals(now());
    return s.up ? (s.rtt / 1e9) + (s.pending + 2 * 1048576) / rateOf(s) : Infinity;
  }
}

function end(sessions: WebTransport[]) {
  for (const s of sessions) try { s.close(); } catch { /* it has ended */ }
}

function decay(avg: number, sample: number, dt: number, tau: number): number {
  return avg === 0 ? sample : avg + (1 - Math.exp(-dt / tau)) * (sample - avg);
}

function problem(status: number, body: Uint8Array): string {
  try {
    const p = JSON.parse(new TextDecoder().decode(body)) as { code?: string; detail?: string };
    return `${p.code ?? status}: ${p.detail ?? ""}`;
  } catch {
    return "status " + status;
  }
}

async function within<T>(ms: number, p: Promise<T>): Promise<T> {
  let timer = 0;
  try {
    return await Promise.race([p, new Promise<never>((_, no) => { timer = window.setTimeout(() => no(new Error(`nothing within ${ms / 1000} s`)), ms); })]);
  } finally {
    clearTimeout(timer);
  }
}

// Exactly reads a stream of pieces by number of bytes.
class Exactly {
  private rest: Uint8Array = new Uint8Array(0);
  constructor(private reader: ReadableStreamDefaultReader<Uint8Array>) {}

  async some(most: number): Promise<Uint8Array> {
    while (this.rest.length === 0) {
      const { value, done } = await this.reader.read();
      if (done) throw new Error("the answer ends early");
      this.rest = value;
    }
    const b = this.rest.subarray(0, most);
    this.rest = this.rest.subarray(b.length);
    return b;
  }

  async bytes(n: number): Promise<Uint8Array> {
    const out = new Uint8Array(n);
    for (let at = 0; at < n;) {
      const b = await this.some(n - at);
      out.set(b, at);
      at += b.length;
    }
    return out;
  }
}
