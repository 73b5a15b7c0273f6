// Plays a film in a video element from the stores themselves.
import { Early, mostEarly } from "./early";
import { Engine, Exhausted } from "./engine";
import { base64, hex, leafSize } from "./format";
import { Coming, Lane } from "./media";
import { Chunk, Data, fragmentsOf, groupOf, readManifest, Track } from "./manifest";
import { Door, now, Store } from "./store";

const bufferGoal = 30, earlyBuffer = 6, fillSpeed = 3, inFlight = 4, acceptors = 3, tick = 200, doorsEvery = 2000, dialPatience = 700;
const tokenLife = 300_000; // of those that a gateway signs for its pages, ms

// under is what stands before the paths of a private film.
export const under = (token: string) => (token ? "/t/" + encodeURIComponent(token) : "");

// Drawn is a chunk of the strip: who brought it.
export interface Drawn { track: number; seq: number; start: number; end: number; size: number; shares: [store: string, bytes: number][]; steals: number; seconds: number; through: "stores" | "gateway"; head: number; }
export interface StoreState {
  id: string; host: string; addr: string; link: string; rtt: number; cwnd: number; loss: number; busy: number; rate: number; pending: number; inFlight: number; score: number;
  bytes: number; chunks: number; errors: number; lies: number; error: string; ejected: boolean;
}
export interface State {
  through: string; firstPicture: number | undefined; buffer: number; stalls: number; stallTime: number; seeks: number; steals: number; useful: number; extra: number; gateway: number;
  steps: Record<string, number>; // when what the first picture waits for was there, seconds
  stores: StoreState[]; strip: Drawn[]; liars: { store: string; host: string; what: string }[]; error: string; why: string;
}

// canPlay reports whether this browser and these stores can.
export function canPlay(data: Data): boolean {
  return "WebTransport" in window && "MediaSource" in window && isSecureContext && (data.webtransport?.length ?? 0) > 0 && !!choose(readManifest(data.manifest));
}

function typeOf(t: Track): string { return `${t.kind}/mp4; codecs="${t.codec}"`; }

// choose picks the best picture and the first sound that play here.
export function choose(tracks: Track[]): { video?: Track; audio?: Track } | undefined {
  const fit = (kind: string) => tracks.filter((t) => t.kind === kind && t.init && t.chunks.length > 0 && MediaSource.isTypeSupported(typeOf(t)));
  const video = fit("video").sort((a, b) => b.bitrate - a.bitrate)[0];
  const audio = fit("audio").sort((a, b) => Number(b.default ?? false) - Number(a.default ?? false))[0];
  if ((!video && tracks.some((t) => t.kind === "video")) || (!video && !audio)) return undefined;
  return { ...(video && { video }), ...(audio && { audio }) };
}

export class Player {
  readonly stores = new Map<string, Store>();
  readonly state: State = {
    through: "WebTransport to the stores", firstPicture: undefined, buffer: 0, stalls: 0, stallTime: 0, seeks: 0, steals: 0, useful: 0, extra: 0, gateway: 0, steps: {}, stores: [], strip: [], liars: [], error: "", why: "",
  };
  private engine: Engine;
  private lanes: Lane[] = [];
  private source = new MediaSource();
  private url = URL.createObjectURL(this.source);
  private timer = 0;
  private renewal = 0;
  private began = performance.now();
  private filling = performance.now(); // since when the buffer is
  private stalledAt = 0;
  private askedDoors = performance.now();
  private gone = new AbortController();

  // token is what the viewer has; who sees a private film without one is given another to read
  // from stores with, and asks for the next before it ends.
  constructor(private video: HTMLVideoElement, private data: Data, private origin = "", private token = "", seed = crypto.getRandomValues(new BigUint64Array(1))[0]!) {
    this.engine = new Engine(seed);
    const doors = new Map((data.webtransport ?? []).map((d) => [d.store, d]));
    const reads = token || data.token || "";
    for (const s of data.placement.stores) {
      const store = data.early?.take(s.id, reads) ?? new Store(s.id, s.host, s.addr, doors.get(s.id));
      [store.host, store.addr, store.down, store.token] = [s.host, s.addr, s.state === "down", reads];
      store.onchange = () => {
        if (store.link === "quic") this.step("session");
        this.engine.wake();
      };
      this.stores.set(s.id, store);
    }
    data.early?.close(); // of stores that hold nothing
    if ([...this.stores.values()].some((s) => s.link === "quic")) this.step("session");
    this.engine.onliar = (s, what) => this.state.liars.push({ store: s.id, host: s.host, what });
    const signal = this.gone.signal;
    video.addEventListener("loadeddata", () => {
      this.step("picture");
      this.state.firstPicture ??= this.state.steps["picture"];
      // A seek finds sessions that stand already; of a large cluster the first will do.
      for (const s of [...this.stores.values()].slice(0, mostEarly)) void s.dial();
    }, { signal });
    video.addEventListener("seeking", () => this.seek(), { signal });
    video.addEventListener("waiting", () => {
      if (this.state.firstPicture === undefined || video.seeking || this.stalledAt || video.ended) return;
      this.state.stalls++;
      this.stalledAt = performance.now();
    }, { signal });
    video.addEventListener("playing", () => {
      if (this.stalledAt) this.state.stallTime += (performance.now() - this.stalledAt) / 1000;
      this.stalledAt = 0;
    }, { signal });
    video.addEventListener("timeupdate", () => this.fill(), { signal });
  }

  private step(name: string) { this.state.steps[name] ??= (performance.now() - this.began) / 1000; }

  get stalled(): boolean { return this.stalledAt > 0; }
  get rate(): number { return this.state.stores.reduce((n, s) => n + s.rate, 0) * 8; }

  async start(): Promise<void> {
    const opened = new Promise<void>((yes) => this.source.addEventListener("sourceopen", () => yes(), { once: true }));
    this.video.src = this.url;
    const chosen = choose(readManifest(this.data.manifest));
    if (!chosen) throw new Error("nothing of this film can be decoded here");
    const tracks = [chosen.video, chosen.audio].filter((t): t is Track => !!t);
    this.strip(tracks[0]!);
    // All at once: init chunks, the first chunks, and the media source's opening.
    const inits = tracks.map((t) => this.init(t));
    for (const i of inits) i.catch(() => undefined); // awaited below
    await opened;
    this.step("source");
    if (this.gone.signal.aborted) return;
    this.source.duration = this.data.manifest.duration;
    this.lanes = tracks.map((t) => new Lane(t, this.source.addSourceBuffer(typeOf(t)), this.video));
    if (this.video.currentTime > 0) this.lanes.forEach((l) => l.seek(this.video.currentTime));
    this.timer = window.setInterval(() => this.look(), tick);
    this.renewLater(this.data);
    this.fill();
    await Promise.all(inits.map(async (i, n) => {
      const init = await i;
      this.step("init " + tracks[n]!.kind);
      this.lanes[n]!.open(init);
    }));
  }

  // init is a track's init chunk: what the gateway sent along, if it is that.
  private async init(t: Track): Promise<Uint8Array<ArrayBuffer>> {
    const sent = this.data.inits?.[t.number];
    if (sent) {
      const b = base64(sent);
      if (hex(new Uint8Array(await crypto.subtle.digest("SHA-256", b))) === hex(t.init!.id)) return b;
    }
    return this.bring(t, t.init!, () => now(), () => 0);
  }

  // renew goes on with another token of the viewer's.
  renew(token: string) {
    this.token = token;
    for (const s of this.stores.values()) void s.renew(token);
  }

  // renewLater asks for the next token at two thirds of this one's life, whatever the clock of
  // this machine says.
  private renewLater(now: { token?: string; expires?: string }) {
    if (!now.token || this.token) return;
    const left = Date.parse(now.expires ?? "") - Date.now() || 0;
    this.renewal = window.setTimeout(() => void this.prolong(), Math.max(doorsEvery, Math.min(left, tokenLife) * 2 / 3));
  }

  private async prolong() {
    try {
      const answer = await fetch(`${this.origin}/v1/player/${this.data.video.id}/token`, { signal: this.gone.signal });
      if (!answer.ok) throw new Error("status " + answer.status);
      const next = (await answer.json()) as { token?: string; expires?: string };
      for (const s of this.stores.values()) void s.renew(next.token ?? "");
      this.renewLater(next);
    } catch {
      if (!this.gone.signal.aborted) this.renewal = window.setTimeout(() => void this.prolong(), doorsEvery);
    }
  }

  stop() {
    this.gone.abort();
    clearInterval(this.timer);
    clearTimeout(this.renewal);
    for (const l of this.lanes) for (const c of l.coming) c.stop.abort();
    for (const s of this.stores.values()) s.close();
    URL.revokeObjectURL(this.url);
  }

  private strip(t: Track) {
    this.state.strip = t.chunks.map((c) => ({
      track: t.number, seq: c.seq, start: c.start / t.timescale, end: (c.start + c.duration) / t.timescale, size: c.size, shares: [], steals: 0, seconds: 0, through: "stores" as const, head: 0,
    }));
  }

  // fill begins chunks: the earliest one of any track first.
  private fill() {
    const at = this.video.currentTime;
    // The buffer is filled bit by bit, so that others who begin on the same links get their first pictures.
    const goal = Math.min(bufferGoal, earlyBuffer + (fillSpeed - 1) * (performance.now() - this.filling) / 1000);
    for (;;) {
      let first: Lane | undefined;
      let under = 0;
      for (const l of this.lanes) {
        under += l.coming.filter((c) => c.head < c.chunk.size).length;
        // Chunks that are buffered already are not fetched again.
        while (l.next < l.track.chunks.length && l.has(l.at(l.track.chunks[l.next]!), l.after(l.track.chunks[l.next]!)) && l.coming.length === 0) l.next++;
        const c = l.track.chunks[l.next];
        if (c && l.at(c) < at + goal && l.coming.length < inFlight && (!first || l.at(c) < first.at(first.track.chunks[first.next]!))) first = l;
      }
      if (!first || under >= inFlight) return;
      void this.fetch(first, first.begin());
    }
  }

  private async fetch(lane: Lane, c: Coming) {
    const due = () => now() + Math.round(Math.max(0, lane.at(c.chunk) - this.video.currentTime) / (this.video.playbackRate || 1) * 1e9);
    const starts: [number, number][] = [];
    let offset = 0, time = 0;
    for (const f of fragmentsOf(c.chunk)) {
      starts.push([offset, time / lane.track.timescale]);
      offset += f.size;
      time += f.duration;
    }
    const pace = (off: number) => {
      let t = 0;
      for (const [o, s] of starts) {
        if (o > off) break;
        t = s;
      }
      return Math.round(t * 1e9);
    };
    try {
      const buf = await this.bring(lane.track, c.chunk, due, pace, c, lane);
      c.buf = buf;
      c.head = c.chunk.size;
    } catch (e) {
      if (c.stop.signal.aborted || this.gone.signal.aborted) return;
      this.state.error = e instanceof Error ? e.message : String(e);
    }
    lane.feed();
    this.fill();
  }

  // bring reads a chunk from its stores, or, where none of them can be read, through the gateway.
  private async bring(t: Track, chunk: Chunk, due: () => number, pace: (o: number) => number, c?: Coming, lane?: Lane): Promise<Uint8Array<ArrayBuffer>> {
    const signal = c?.stop.signal ?? this.gone.signal;
    const drawn = this.state.strip.find((d) => d.track === t.number && d.seq === chunk.seq);
    const holders = await this.holders(t.number, chunk.seq);
    let buf: Uint8Array<ArrayBuffer> | undefined;
    for (let round = 0; ; round++) {
      const own = new AbortController(), stop = () => own.abort();
      signal.addEventListener("abort", stop);
      let timer = 0;
      // A browser may sit on handshakes: while no session stands, the gateway is asked too.
      const beside = new Promise<Uint8Array<ArrayBuffer>>((yes) => {
        timer = window.setTimeout(() => {
          if (holders.every((h) => h.link !== "quic")) void this.through(t, chunk, own.signal).then(yes, () => undefined);
        }, dialPatience);
      });
      try {
        const read = this.engine.read({
          chunk, from: c?.skip ?? 0, holders: round === 0 ? holders.slice(0, acceptors) : holders, due, pace,
          proven: (head, b) => {
            buf = b;
            if (c) this.step("proven " + t.kind);
            if (c && head >= (fragmentsOf(chunk)[0]?.size ?? 0)) this.step("fragment " + t.kind);
            if (drawn) drawn.head = head;
            if (c && lane) {
              c.buf = b;
              c.head = Math.max(c.head, head);
              lane.feed();
            }
          },
        }, own.signal);
        const got = await Promise.race([read, beside]);
        if (got instanceof Uint8Array) {
          read.catch(() => undefined); // given up below
          if (drawn) [drawn.through, drawn.head, drawn.shares] = ["gateway", chunk.size, []];
          return got;
        }
        if (drawn) {
          drawn.shares = [...got.shares].sort((a, b) => b[1] - a[1]);
          drawn.steals = got.steals;
          drawn.seconds = got.seconds;
        }
        this.state.steals += got.steals;
        return buf!;
      } catch (e) {
        if (!(e instanceof Exhausted) || signal.aborted) throw e;
        if (round === 0 && holders.length > acceptors) continue; // others may have it, or join it of fragments
        const b = await this.through(t, chunk, signal);
        if (drawn) [drawn.through, drawn.head, drawn.shares] = ["gateway", chunk.size, []];
        return b;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        own.abort();
      }
    }
  }

  private groups = new Map<number, number>();

  // holders are the stores of a chunk's group, in placement order.
  private async holders(track: number, seq: number): Promise<Store[]> {
    const groups = this.data.placement.groups ?? [];
    if (groups.length === 0) return [];
    const key = track * 2 ** 32 + seq;
    let pg = this.groups.get(key);
    if (pg === undefined) this.groups.set(key, pg = await groupOf(this.data.video.id, track, seq, groups.length));
    return groups[pg]!.targets.map((id) => this.stores.get(id)).filter((s): s is Store => !!s);
  }

  // through reads a chunk from the track's file, whose bytes are those of its chunks.
  private async through(t: Track, chunk: Chunk, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    let from = 0;
    if (chunk !== t.init) from = t.init!.size + t.chunks.slice(0, chunk.seq - 1).reduce((n, c) => n + c.size, 0);
    for (let round = 0; ; round++) {
      try {
        const answer = await fetch(`${this.origin}${under(this.token)}/play/${this.data.video.id}/${t.number}.mp4`, { headers: { Range: `bytes=${from}-${from + chunk.size - 1}` }, signal });
        if (answer.status !== 206) throw new Error(`gateway: status ${answer.status}`);
        const b = new Uint8Array(await answer.arrayBuffer());
        if (hex(new Uint8Array(await crypto.subtle.digest("SHA-256", b))) !== hex(chunk.id)) throw new Error("gateway: wrong bytes");
        this.state.gateway += b.length;
        this.state.through = "WebTransport to the stores, and the gateway where they cannot be read";
        return b;
      } catch (e) {
        if (signal.aborted || round === 8) throw e;
        await new Promise((yes) => setTimeout(yes, 500 * (round + 1)));
      }
    }
  }

  private seek() {
    const t = this.video.currentTime;
    this.state.seeks++;
    this.filling = performance.now();
    for (const l of this.lanes) {
      const end = l.ahead(t);
      if (end > t + 0.2 && l.coming[0] && l.at(l.coming[0].chunk) <= end + 0.1) continue; // it goes on from there anyway
      l.seek(end > t + 0.2 ? end - 0.05 : t);
    }
    this.fill();
  }

  // look is what happens five times a second.
  private look() {
    const { video, state } = this, at = video.currentTime;
    state.buffer = Math.max(0, Math.min(...this.lanes.map((l) => l.ahead(at))) - at);
    state.useful = this.engine.useful;
    state.extra = this.engine.extra;
    for (const l of this.lanes) {
      l.trim();
      l.feed();
      if (l.failed) state.error = l.failed;
    }
    this.fill();
    if (this.source.readyState === "open" && this.lanes.length > 0 && this.lanes.every((l) => l.ended)) this.source.endOfStream();
    const ns = now();
    state.stores = [...this.stores.values()].map((s) => {
      const g = s.signals(ns);
      const rate = g.fast === 0 || g.slow === 0 ? Math.max(g.fast, g.slow) : Math.min(g.fast, g.slow);
      return {
        id: s.id, host: s.host, addr: s.addr, link: s.link, rtt: s.told.rtt, cwnd: s.told.cwnd, loss: g.loss, busy: s.told.busy, rate, pending: g.pending, inFlight: g.inFlight,
        score: s.score(), bytes: s.bytes, chunks: s.chunks, errors: s.errors, lies: s.lies, error: s.error, ejected: g.ejected,
      };
    });
    state.why = why(state.stores);
    // Who was read from is wanted back, also while nothing is to be read.
    if (!video.ended) for (const s of this.stores.values()) if (s.wasOpen) void s.dial();
    if ([...this.stores.values()].some((s) => s.wantsNews) && performance.now() - this.askedDoors > doorsEvery) void this.doors();
  }

  // doors asks where stores can be read now, before one is dialled again.
  private async doors() {
    this.askedDoors = performance.now();
    try {
      const answer = await fetch(this.origin + "/v1/webtransport", { signal: this.gone.signal });
      if (!answer.ok) return;
      const list = ((await answer.json()) as { items: Door[] | null }).items ?? [];
      for (const s of this.stores.values()) s.open(list.find((d) => d.store === s.id));
      this.engine.wake();
    } catch { /* what is known holds */ }
  }
}

// why says which store is asked first, and why.
function why(stores: StoreState[]): string {
  const up = stores.filter((s) => Number.isFinite(s.score)).sort((a, b) => a.score - b.score);
  if (up.length === 0) return "No store can be read now.";
  const s = up[0]!, next = up[1];
  const ms = (x: number) => `${Math.round(x * 1000)} ms`;
  return `${s.host} ${s.addr} would bring a chunk of 2 MiB in ${ms(s.score)}: round trip ${(s.rtt * 1000).toFixed(1)} ms, ${(s.rate / 1e6).toFixed(1)} MB/s, ${Math.round(s.pending / 1024)} KiB owed.` +
    (next ? ` The next, ${next.host} ${next.addr}, in ${ms(next.score)}.` : "");
}

export { Early, leafSize };
