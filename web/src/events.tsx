// Events: what happened to the cluster, and who asked for it.
import { useEffect, useState } from "preact/hooks";
import { ago, CatalogEvent, CatalogEvents, count, problem } from "./api";
import { Badge, Cmd, Empty, Failure, Loading, Region, Tone, useActions, useQuery } from "./ui";

const most = 4096; // as many as the catalog keeps
const rows = 200; // on the page
const every = 2000;

const tones: Record<string, Tone> = { lost: "bad", down: "warn", accepted: "bad", deleted: "warn", revoked: "warn", up: "good", published: "good", joined: "good" };

// useCatalogEvents follows the catalog's events while the page is open, the newest first.
function useCatalogEvents(): { events?: CatalogEvent[]; error?: string } {
  const [got, set] = useState<{ events?: CatalogEvent[]; error?: string }>({});
  useEffect(() => {
    const stop = new AbortController();
    let next = 0, timer = 0;
    const ask = async () => {
      try {
        let more = true;
        const fresh: CatalogEvent[] = [];
        while (more) {
          const answer = await fetch("/v1/catalog/events?since=" + next, { signal: stop.signal });
          if (!answer.ok) throw await problem(answer);
          const page = (await answer.json()) as CatalogEvents;
          fresh.push(...(page.items ?? []));
          more = page.more && page.next > next;
          next = page.next;
        }
        set((was) => ({ events: [...fresh.reverse(), ...(was.events ?? [])].slice(0, most) }));
      } catch (e) {
        if (stop.signal.aborted) return;
        set((was) => ({ ...was, error: (e as Error).message }));
      }
      timer = setTimeout(() => void ask(), every);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, []);
  return got;
}

export function EventsPage() {
  const may = useActions();
  if (!may.includes("events")) return <><h1>Events</h1><Empty title="Only the console tells who did what"><Cmd text="vstack console" /></Empty></>;
  return <Events />;
}

function Events() {
  const { events, error } = useCatalogEvents();
  const [kind, setKind] = useQuery("kind");
  const [words, setWords] = useQuery("q");
  if (!events) return <><h1>Events</h1>{error ? <Failure what="The catalog does not answer" why={error} /> : <Loading />}</>;
  const kinds = [...new Set(events.map((e) => e.kind))].sort();
  const wanted = words.toLowerCase();
  const found = events.filter((e) => (!kind || e.kind === kind) && [e.kind, e.of, e.detail, e.by].join(" ").toLowerCase().includes(wanted));
  return (
    <>
      <div class="row between"><h1>Events</h1>
        <div class="row">
          <label>Kind <select value={kind} onChange={(e) => setKind(e.currentTarget.value)}><option value="">all</option>{kinds.map((k) => <option key={k} value={k}>{k}</option>)}</select></label>
          <input type="search" placeholder="film, store, person…" aria-label="Words in an event" value={words} onInput={(e) => setWords(e.currentTarget.value)} />
        </div>
      </div>
      {error && <Failure what="Newer events are not known" why={error} />}
      {found.length === 0 ? <Empty title={events.length ? "No such event" : "Nothing has happened yet"} /> : <Region label="Events">
        <table class="wide">
          <thead><tr><th>when</th><th>what</th><th>to</th><th>detail</th><th>who asked</th></tr></thead>
          <tbody>{found.slice(0, rows).map((e) => (
            <tr key={e.index + "/" + (e.part ?? 0)}>
              <td title={e.time}>{ago(e.time)}</td><td><Badge tone={tones[e.kind] ?? ""}>{e.kind}</Badge></td><td><Of text={e.of ?? ""} /></td><td>{e.detail}</td>
              <td>{e.by || <span class="soft">the cluster</span>}</td>
            </tr>
          ))}</tbody>
        </table>
      </Region>}
      {found.length > rows && <p class="soft">The newest {rows} of {count(found.length)}; the catalog keeps the last {count(most)}.</p>}
      <Cmd text="vstack events --follow" />
    </>
  );
}

// Of links to what an event is of, where that has a page.
function Of({ text }: { text: string }) {
  const [what, id] = text.split(" ");
  if (what === "video" && id) return <a href={"/watch/" + id}>{text}</a>;
  if (what === "store" && id) return <a href={"/stores#" + id}>{text}</a>;
  return <>{text || <span class="soft">the cluster</span>}</>;
}
