// All films, newest first: the first page by the stream, more as one scrolls, and a search
// that the server makes.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { bytes, clock, count, Films, get, Video } from "./api";
import { useTopic } from "./live";
import { act, Action, Empty, Failure, Loading, Tone, useActions, useConfirm, useQuery, Badge } from "./ui";

// Seen says of a film that not everybody finds it.
const Seen = ({ v }: { v: Video }) => (v.access?.visibility === "private" || v.access?.visibility === "unlisted" ? <> <Badge>{v.access.visibility}</Badge></> : null);

// Cover is the film's poster; one that has none shows the sign for playing.
function Cover({ id }: { id: string }) {
  const [none, setNone] = useState(false);
  if (none) return <span aria-hidden="true">▶</span>;
  return <img src={`/play/${id}/poster.jpg`} alt="" loading="lazy" onError={() => setNone(true)} />;
}

const page = 60;

interface Rest { items: Video[]; next: string | undefined; loading: boolean; failed: string; }
const nothing: Rest = { items: [], next: undefined, loading: false, failed: "" };

export function FilmsPage() {
  const newest = useTopic("films");
  const may = useActions();
  const [text, setText] = useQuery("q");
  const [found, setFound] = useState<{ text: string; list: Films }>();
  const [rest, setRest] = useState(nothing);
  const [gone, setGone] = useState<Record<string, string>>({}); // id to what was done, until the stream says so too
  const [ask, dialog] = useConfirm();

  useEffect(() => {
    setRest(nothing);
    if (!text.trim()) return setFound(undefined);
    const stop = new AbortController();
    const timer = setTimeout(() => {
      get<Films>(`/v1/videos?limit=${page}&q=${encodeURIComponent(text)}`, stop.signal).then(
        (list) => setFound({ text, list }),
        (e: Error) => { if (!stop.signal.aborted) setFound({ text, list: { items: [], error: e.message } }); });
    }, 250);
    return () => { stop.abort(); clearTimeout(timer); };
  }, [text]);

  const searching = text.trim() !== "";
  const first = searching ? (found?.text === text ? found.list : undefined) : newest;
  const next = rest.items.length ? rest.next : first?.next;
  const more = useCallback(() => {
    if (!next || rest.loading) return;
    setRest((r) => ({ ...r, loading: true, failed: "" }));
    get<Films>(`/v1/videos?limit=${page}&cursor=${next}${searching ? "&q=" + encodeURIComponent(text) : ""}`).then(
      (l) => setRest((r) => ({ items: [...r.items, ...l.items], next: l.next, loading: false, failed: "" })),
      (e: Error) => setRest((r) => ({ ...r, loading: false, failed: e.message })));
  }, [next, rest.loading, searching, text]);

  const seen = new Set<string>();
  const films = [...(first?.items ?? []), ...rest.items].filter((v) => !seen.has(v.id) && seen.add(v.id) && gone[v.id] !== "deleted");
  return (
    <>
      <div class="row between">
        <h1>Films</h1>
        <input type="search" placeholder="Search titles" aria-label="Search titles" value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </div>
      {!first ? <Loading /> : first.error ? <Failure what="The catalog does not answer" why={first.error} next="Films that are being played go on." />
        : films.length === 0 && !next ? (searching ? <Empty title={`No film is called “${text}”`} />
          : <Empty title="No film yet"><p><a href="/upload">Upload one</a>, or run <code>vstack video upload FILE</code>.</p></Empty>)
        : <>
          <ul class="films">
            {films.map((v) => <Film key={v.id} v={v} may={may} ask={ask} done={(what) => setGone((g) => ({ ...g, [v.id]: what }))} />)}
          </ul>
          <More next={next} rest={rest} more={more} shown={films.length} searching={searching} />
        </>}
      {dialog}
    </>
  );
}

// More loads the next page when it comes into sight, or by its button.
function More({ next, rest, more, shown, searching }: { next: string | undefined; rest: Rest; more: () => void; shown: number; searching: boolean }) {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!next || rest.loading || rest.failed) return;
    const eye = new IntersectionObserver((seen) => { if (seen[0]?.isIntersecting) more(); }, { rootMargin: "600px" });
    eye.observe(end.current!);
    return () => eye.disconnect();
  }, [next, rest, more]);
  return (
    <div ref={end} class="more" role="status">
      {rest.failed ? <span class="bad">{rest.failed}</span> : next ? `${count(shown)} ${searching ? "found so far" : "shown"}` : `${count(shown)} ${searching ? "found" : "in all"}`}
      {next && <button onClick={more} disabled={rest.loading}>{rest.loading ? "Loading…" : searching ? "Search on" : "Show more"}</button>}
    </div>
  );
}

function Film({ v, may, ask, done }: { v: Video; may: string[]; ask: (a: Action) => void; done: (what: string) => void }) {
  return (
    <li class="film">
      <a class="cover" href={"/watch/" + v.id}><span class="hidden">Watch {v.title}</span><Cover id={v.id} /><span class="length" aria-hidden="true">{clock(v.duration)}</span></a>
      <div class="text">
        <a class="title" href={"/watch/" + v.id} tabIndex={-1}>{v.title}</a>
        <div class="soft">{bytes(v.size)} · {v.views === 1 ? "1 view" : count(v.views) + " views"}</div>
        <div class="row between"><span><Class v={v} /><Seen v={v} /></span>
          {may.includes("delete") && <button class="small quiet" aria-label={"Delete " + v.title} onClick={() => ask(deletion(v, () => done("deleted")))}>Delete</button>}
        </div>
      </div>
    </li>
  );
}

const tones: Record<string, Tone> = { hot: "warn", cold: "", cooling: "", warming: "warn" };

// Class says how a film lies and, where that differs, what was asked for.
export const Class = ({ v }: { v: Video }) => <span><Badge tone={tones[v.class] ?? ""}>{v.class}</Badge>{v.policy !== "auto" && <Badge>kept {v.policy}</Badge>}</span>;

export const deletion = (v: Video, done: () => void): Action => ({
  title: `Delete “${v.title}” for ever?`, verb: "Delete", danger: true, command: `vstack video rm ${v.id} --yes`,
  text: `${bytes(v.size)} in ${count(v.chunks)} chunks. It cannot be undone, and the id is never used again.`,
  run: async () => { const said = await act("DELETE", "/v1/videos/" + v.id); done(); return said; },
});
