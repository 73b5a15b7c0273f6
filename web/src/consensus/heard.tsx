// What stores hear of ChunkPaxos while this is on the screen: a sample of slots, each with the
// messages that came to its acceptors, and what they answered.
import { useEffect, useState } from "preact/hooks";
import { bytes } from "../api";
import { Badge, useActions } from "../ui";

interface Value { chunk: string; size: number }
interface Heard {
  time: string; store: string; host: string; addr: string; from?: string; kind: string; slot: string; pg: number; epoch: number; ballot: string;
  value?: Value | string; answer?: string; took?: number; holds?: { ballot: string };
}
interface News { one_in: number; stores: number; of: number; missed: number; refused: string; items: Heard[] | null; }

// Talk is what was said about one slot at one ballot, by one kind of message.
interface Talk { key: string; first: number; said: Heard; at: Map<string, { came: number; asked: Heard; answer?: Heard }>; }

const most = 12; // slots on the screen
const short = (ballot: string) => ballot.replace(/^(\d+\.\d+)\.[0-9a-f-]*([0-9a-f]{4})$/, "$1.…$2");
const ms = (s: number) => (s < 0.01 ? (s * 1000).toFixed(1) : Math.round(s * 1000)) + " ms";
const names: Record<string, string> = { put: "PUT", accept: "ACCEPT", prepare: "PREPARE" };

// note adds what came to the talks, the newest first.
function note(talks: Talk[], items: Heard[]): Talk[] {
  for (const h of items) {
    const key = [h.slot, h.ballot, h.kind === "prepare"].join();
    let t = talks.find((o) => o.key === key);
    if (!t) {
      if (h.answer) continue; // its question came before anybody listened
      t = { key, first: Date.parse(h.time), said: h, at: new Map() };
      talks = [t, ...talks].slice(0, most);
    }
    const was = t.at.get(h.store);
    if (!h.answer) t.at.set(h.store, { came: Date.parse(h.time), asked: h });
    else if (was) was.answer = h;
  }
  return [...talks];
}

// chosenIn is how long it took until two of three had answered that they hold bytes and vote.
function chosenIn(t: Talk): number | undefined {
  const took = [...t.at.values()].filter((a) => a.answer?.answer === "ACCEPTED").map((a) => a.answer!.took ?? 0).sort((a, b) => a - b);
  return took[1];
}

export function Live() {
  const may = useActions().includes("messages");
  const [news, setNews] = useState<News>();
  const [talks, setTalks] = useState<Talk[]>([]);
  const [held, hold] = useState(false);
  useEffect(() => {
    if (!may || held) return;
    const source = new EventSource("/v1/paxos/messages");
    source.onmessage = (e) => {
      const n = JSON.parse(e.data as string) as News;
      setNews(n);
      if (n.items?.length) setTalks((was) => note(was, n.items!));
    };
    return () => source.close();
  }, [may, held]);
  if (!may) return null;
  return (
    <section aria-label="Live messages">
      <div class="row between">
        <div class="row"><h2>Live</h2>{news && <Badge tone={news.stores < news.of ? "warn" : "good"}>{news.stores} of {news.of} stores tell</Badge>}
          {news && news.one_in > 1 && <Badge>one slot in {news.one_in}</Badge>}</div>
        <button class="small" aria-pressed={held} onClick={() => hold(!held)}>{held ? "Go on" : "Hold"}</button>
      </div>
      {news && news.stores < news.of && news.refused && <p class="soft">A store does not tell: {news.refused}</p>}
      {!talks.length ? <p class="soft">{news ? "No message comes now. While a film is uploaded, its chunks are voted on here: the PUT of the bytes asks for the vote." : "Asking the stores…"}</p> : (
        <ol class="talks">{talks.map((t) => <TalkRow key={t.key} t={t} />)}</ol>
      )}
    </section>
  );
}

function TalkRow({ t }: { t: Talk }) {
  const [video, track, seq] = t.said.slot.split("/"), at = [...t.at.values()], chosen = t.said.kind === "prepare" ? undefined : chosenIn(t);
  const longest = Math.max(0.001, ...at.map((a) => a.answer?.took ?? 0));
  const refused = at.filter((a) => a.answer && a.answer.answer !== "ACCEPTED" && a.answer.answer !== "PROMISED").length;
  const value = typeof t.said.value === "object" ? t.said.value : undefined;
  return (
    <li class="card" data-first={t.first}>
      <div class="row between">
        <span><b>{names[t.said.kind]}</b> {value && <><code>{value.chunk.slice(0, 8)}</code>, {bytes(value.size)}, </>}into track {track}, {seq} of <code>…{video!.slice(-6)}</code>{" "}
          <span class="soft">at ballot <code>{short(t.said.ballot)}</code>{t.said.from ? `, from ${t.said.from}` : ""}; group {t.said.pg}, epoch {t.said.epoch}</span></span>
        {chosen !== undefined ? <Badge tone="good">chosen in {ms(chosen)}</Badge> : refused > 1 ? <Badge tone="bad">refused</Badge> : <Badge>open</Badge>}
      </div>
      <ul>
        {at.sort((a, b) => a.asked.host.localeCompare(b.asked.host) || a.asked.addr.localeCompare(b.asked.addr)).map((a) => {
          const bad = a.answer && a.answer.answer !== "ACCEPTED" && a.answer.answer !== "PROMISED";
          return (
            <li key={a.asked.store} class={bad ? "refused" : a.answer ? "" : "flying"}>
              <span class="soft">{a.asked.host} {a.asked.addr}</span>
              <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect width={a.answer ? Math.max(1, (100 * (a.answer.took ?? 0)) / longest) : 100} height="6" /></svg>
              <span>{a.answer ? <>{a.answer.answer!.toLowerCase().replaceAll("_", " ")} <span class="soft">after {ms(a.answer.took ?? 0)}{bad && a.answer.holds && !a.answer.holds.ballot.startsWith("0.0.") ? `, holds ${short(a.answer.holds.ballot)}` : ""}</span></> : <span class="soft">on its way</span>}</span>
            </li>
          );
        })}
      </ul>
    </li>
  );
}
