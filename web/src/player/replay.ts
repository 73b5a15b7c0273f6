// Run by the Go tests: what the player makes of views and of bytes that Go wrote.
import { head, hex, request, signals, tail } from "./format";
import { decide, Decision, View } from "./policy";

declare const process: { stdin: AsyncIterable<Uint8Array>; stdout: { write(s: string): void } };

interface Asked { views?: { view: View; seed: string }[]; golden?: { Request: string; Head: string; Tail: string; Signals: string }; chunk?: string; }

const bytes = (s: string) => Uint8Array.from(s.match(/../g) ?? [], (x) => parseInt(x, 16));

async function main() {
  const parts: Uint8Array[] = [];
  for await (const b of process.stdin) parts.push(b);
  const decoder = new TextDecoder();
  const asked = JSON.parse(parts.map((b) => decoder.decode(b, { stream: true })).join("")) as Asked;
  const out: { decisions?: Decision[]; request?: string; head?: unknown; tail?: unknown; signals?: unknown } = {};
  if (asked.views) out.decisions = asked.views.map((v) => decide(v.view, BigInt(v.seed)));
  if (asked.golden) {
    const chunk = bytes(asked.chunk!);
    out.request = hex(request({ chunk, piece: { k: 3, m: 2, i: 4 }, offset: 65536, length: 131072, leaves: true, held: true, urgency: 1 }));
    out.head = head(bytes(asked.golden.Head));
    out.tail = tail(bytes(asked.golden.Tail));
    out.signals = signals(bytes(asked.golden.Signals));
  }
  process.stdout.write(JSON.stringify(out));
}

void main();
