// Run by the Go tests: what the player makes of views and of bytes that Go wrote.
import { Engine } from "./engine";
import { head, hex, request, signals, tail } from "./format";
import { Coming, Lane } from "./media";
import { decide, Decision, Signals, View } from "./policy";
import { now, Store, Taker } from "./store";

declare const process: { stdin: AsyncIterable<Uint8Array>; stdout: { write(s: string): void } };

interface Asked { views?: { view: View; seed: string }[]; golden?: { Request: string; Head: string; Tail: string; Signals: string }; chunk?: string; full?: boolean; lane?: boolean; }

const bytes = (s: string) => Uint8Array.from(s.match(/../g) ?? [], (x) => parseInt(x, 16));

// Full is a store that has no room for a while, as one whose bytes were given up just now, and
// of which nothing comes that would tell of room.
class Full extends Store {
  private until = now() + 300e6;
  asked = 0;
  override async dial() { this.link = "quic"; }
  override signals(at: number): Signals {
    const s = super.signals(at);
    return { ...s, up: true, measured: true, rtt: 1e6, sampled: true, fast: 1e6, slow: 1e6, recent: 1e6, pending: at < this.until ? 1e9 : 0, inFlight: 0 };
  }
  override async read(r: { offset: number; length: number }, taker: Taker) {
    this.asked++;
    taker.head({ status: 206, body: r.length, size: 100, leaves: 0, retryAfter: 0, told: this.told }, 1e6);
    taker.bytes(bytesOf.subarray(r.offset, r.offset + r.length));
  }
}
const bytesOf = new Uint8Array(100).fill(7);

// readsFromFull reads a chunk from such a store; 0 requests where it never comes.
async function readsFromFull(): Promise<number> {
  const store = new Full("00", "h1", "h1:8081", { store: "00", started: "", addr: "h1:9081", hashes: [] });
  store.link = "quic";
  const id = new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf)), stop = new AbortController();
  const chunk = { seq: 1, id, root: undefined, size: 100, start: 0, duration: 1, keyframe: true, fragments: [] };
  const timer = setTimeout(() => stop.abort(), 5000);
  await new Engine(1n).read({ chunk, holders: [store], due: () => now(), pace: () => 0, proven: () => undefined }, stop.signal).catch(() => undefined);
  clearTimeout(timer);
  return stop.signal.aborted ? 0 : store.asked;
}

// feeds has a lane take a chunk of two fragments of 100,000 bytes while there is no picture, then go
// on with one, then seek in the middle of a fragment; it tells what its source buffer was given.
function feeds(): string[] {
  const did: string[] = [], events = new EventTarget();
  const source = Object.assign(events, {
    updating: false, buffered: { length: 0 },
    appendBuffer(b: Uint8Array) {
      did.push("append " + b.length);
      source.done = () => events.dispatchEvent(new Event("updateend"));
    },
    abort() { did.push("abort"); },
    done: () => undefined as unknown,
  });
  const fragment = { size: 100_000, lead: 0, duration: 1, keyframe: true, cut: true };
  const chunk = { seq: 1, id: new Uint8Array(32), root: undefined, size: 200_000, start: 0, duration: 2, keyframe: true, fragments: [fragment, fragment] };
  const video = { readyState: 0, currentTime: 0 };
  const lane = new Lane({ number: 1, kind: "video", codec: "", timescale: 1, bitrate: 1, chunks: [chunk] }, source as unknown as SourceBuffer, video as HTMLVideoElement);
  const fed = (c: Coming, head: number) => {
    did.push("proven " + head);
    c.head = head;
    lane.feed();
    source.done();
  };
  lane.open(new Uint8Array(8));
  source.done();
  let c = lane.begin();
  c.buf = new Uint8Array(200_000);
  fed(c, 65_536);
  video.readyState = 3;
  for (const head of [98_000, 131_072, 200_000]) fed(c, head);
  video.readyState = 1;
  lane.seek(0);
  c = lane.begin();
  c.buf = new Uint8Array(200_000);
  fed(c, 65_536);
  lane.seek(1.5); // the second fragment, while the first is not whole
  c = lane.begin();
  c.buf = new Uint8Array(200_000);
  fed(c, 131_072);
  return did;
}

async function main() {
  const parts: Uint8Array[] = [];
  for await (const b of process.stdin) parts.push(b);
  const decoder = new TextDecoder();
  const asked = JSON.parse(parts.map((b) => decoder.decode(b, { stream: true })).join("")) as Asked;
  const out: { decisions?: Decision[]; request?: string; head?: unknown; tail?: unknown; signals?: unknown; full?: number; lane?: string[] } = {};
  if (asked.views) out.decisions = asked.views.map((v) => decide(v.view, BigInt(v.seed)));
  if (asked.golden) {
    const chunk = bytes(asked.chunk!);
    out.request = hex(request({ chunk, piece: { k: 3, m: 2, i: 4 }, offset: 65536, length: 131072, leaves: true, held: true, urgency: 1 }));
    out.head = head(bytes(asked.golden.Head));
    out.tail = tail(bytes(asked.golden.Tail));
    out.signals = signals(bytes(asked.golden.Signals));
  }
  if (asked.full) out.full = await readsFromFull();
  if (asked.lane) out.lane = feeds();
  process.stdout.write(JSON.stringify(out));
}

void main();
