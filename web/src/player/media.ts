// One track's way into a source buffer: fragments in order, no more than one append at a time.
import { Chunk, fragmentsOf, Track } from "./manifest";

const futureData = 3; // HAVE_FUTURE_DATA

// Coming is a chunk on its way: proven bytes from its start, and whether what was appended ends inside a fragment.
export interface Coming { chunk: Chunk; head: number; buf: Uint8Array<ArrayBuffer> | undefined; stop: AbortController; appended: number; skip: number; inside: boolean; }

export class Lane {
  readonly coming: Coming[] = []; // in the order of their chunks
  next = 0; // index of the chunk that is asked for next
  failed = "";
  private init: Uint8Array<ArrayBuffer> | undefined;
  private started = false;
  private running = false;
  private torn = false; // a fragment was left off in its middle

  constructor(readonly track: Track, readonly source: SourceBuffer, private video: HTMLVideoElement) {
    source.addEventListener("updateend", () => {
      this.running = false;
      this.feed();
    });
  }

  // open takes the track's init chunk, which comes before all others.
  open(init: Uint8Array<ArrayBuffer>) {
    this.init = init;
    this.feed();
  }

  // at is a chunk's start, seconds.
  at(c: Chunk): number { return c.start / this.track.timescale; }
  after(c: Chunk): number { return (c.start + c.duration) / this.track.timescale; }

  get ended(): boolean { return this.next >= this.track.chunks.length && this.coming.length === 0 && !this.running && !this.source.updating; }

  // ahead is where the buffered stretch that holds a time ends, or the time itself.
  ahead(t: number): number {
    const b = this.source.buffered;
    for (let i = 0; i < b.length; i++) if (b.start(i) <= t + 0.1 && t < b.end(i)) return b.end(i);
    return t;
  }

  has(from: number, to: number): boolean {
    const b = this.source.buffered;
    for (let i = 0; i < b.length; i++) if (b.start(i) <= from + 0.01 && to <= b.end(i) + 0.05) return true;
    return false;
  }

  // seek starts over at the last keyframe at or before a time.
  seek(t: number) {
    for (const c of this.coming) {
      c.stop.abort();
      this.torn ||= c.inside;
    }
    this.coming.length = 0;
    const { chunks, timescale } = this.track, ticks = t * timescale;
    let i = chunks.length - 1;
    while (i > 0 && chunks[i]!.start > ticks) i--;
    // Back to a chunk with a keyframe at or before the time.
    while (i > 0 && !keyframeIn(chunks[i]!, ticks)) i--;
    this.next = i;
    this.skipTo = ticks;
  }
  private skipTo = 0;

  // begin makes the next chunk one that comes; what of it lies before the last keyframe at or
  // before the sought time is left out.
  begin(): Coming {
    const chunk = this.track.chunks[this.next++]!;
    let skip = 0, at = 0, time = chunk.start;
    if (this.skipTo > chunk.start && this.skipTo < chunk.start + chunk.duration) {
      for (const f of fragmentsOf(chunk)) {
        if (time > this.skipTo) break;
        if (f.keyframe) skip = at;
        at += f.size;
        time += f.duration;
      }
    }
    const c = { chunk, head: 0, buf: undefined, stop: new AbortController(), appended: skip, skip, inside: false };
    this.coming.push(c);
    return c;
  }

  // feed appends what is proven, whole fragments in order. While no picture is there to go on with,
  // or once a fragment was begun so, its bytes go in as they come: a decoder shows a frame
  // before the rest of its second is here.
  feed() {
    if (this.running || this.source.updating || this.failed) return;
    try {
      if (!this.init) return;
      if (!this.started) {
        this.started = this.running = true;
        this.source.appendBuffer(this.init);
        return;
      }
      const c = this.coming[0];
      if (!c?.buf) return;
      let end = 0, ready = c.appended;
      for (const f of fragmentsOf(c.chunk)) {
        end += f.size;
        if (end > c.head) break;
        if (end > ready) ready = end;
      }
      const whole = ready;
      if (c.head > whole && (this.video.readyState < futureData || (c.inside && whole === c.appended))) ready = c.head;
      if (ready > c.appended) {
        if (this.torn) this.source.abort(); // else it would wait for the rest
        this.torn = false;
        c.inside = ready > whole;
        this.running = true;
        this.source.appendBuffer(c.buf.subarray(c.appended, ready));
        c.appended = ready;
      }
      if (c.appended >= c.chunk.size) this.coming.shift();
    } catch (e) {
      this.running = false;
      if (e instanceof DOMException && e.name === "QuotaExceededError") this.makeRoom();
      else this.failed = e instanceof Error ? e.message : String(e);
    }
  }

  // makeRoom gives up what was played.
  private makeRoom() {
    const b = this.source.buffered, end = this.video.currentTime - 10;
    if (b.length > 0 && b.start(0) < end) {
      this.running = true;
      this.source.remove(b.start(0), end);
    }
  }

  // trim keeps half a minute of what was played.
  trim() {
    const b = this.source.buffered, end = this.video.currentTime - 30;
    if (!this.running && !this.source.updating && b.length > 0 && b.start(0) < end - 10) {
      this.running = true;
      this.source.remove(b.start(0), end);
    }
  }
}

function keyframeIn(c: Chunk, ticks: number): boolean {
  let time = c.start;
  for (const f of fragmentsOf(c)) {
    if (time > ticks) return false;
    if (f.keyframe) return true;
    time += f.duration;
  }
  return false;
}
