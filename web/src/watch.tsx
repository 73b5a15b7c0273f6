// One film: the player, how it fares, and addresses for other players.
import { useEffect, useRef, useState } from "preact/hooks";
import { before, bytes, carried, clock, count, get, Holdings, PlayerData, Track } from "./api";
import { Class } from "./films";
import { usePoll } from "./live";
import { Overlay } from "./overlay";
import { attach, begin, Playing, Way } from "./play";
import { Actions } from "./actions";
import { isPoster, isTiles, Scenes } from "./scenes";
import { Badge, Copy, Dot, Failure, Loading, Region, Segments, useQuery } from "./ui";
import { toneOf } from "./overview";

export function WatchPage({ id }: { id: string }) {
  const [data, setData] = useState<PlayerData>();
  const [failed, setFailed] = useState("");
  useEffect(() => {
    const stop = new AbortController(), early = begin().catch(() => undefined); // without it the player dials itself
    get<PlayerData>(before() + "/v1/player/" + id, stop.signal).then(async (d) => setData({ ...d, early: await early }), (e: Error) => {
      if (!stop.signal.aborted) setFailed(e.message);
    });
    return () => stop.abort();
  }, [id]);
  if (failed) return <Failure what="This film cannot be played" why={failed} next={<a href="/videos">All films</a>} />;
  if (!data) return <Loading />;
  document.title = data.video.title + " · V-Stack";
  const v = data.video;
  return (
    <>
      <div class="row between"><h1>{v.title}</h1><Class v={v} /></div>
      <p class="soft under">
        {clock(v.duration)}, {bytes(v.size)} in {count(v.chunks)} chunks, {v.views === 1 ? "1 view" : count(v.views) + " views"};
        from {v.source.name} ({v.source.container}, {bytes(v.source.size)}).
      </p>
      <Player data={data} />
      <Actions video={v} />
      <h2>Where it lies</h2>
      <Lies id={id} data={data} />
      <h2>Play it elsewhere</h2>
      <Addresses id={id} wants={v.access?.visibility === "private" && !carried()} />
      <h2>Tracks</h2>
      <Tracks tracks={data.manifest.tracks} />
      <p class="soft"><a href={"/compare/" + id}>Compare how the smart client and a naive one play it</a></p>
    </>
  );
}

// Lies shows which stores hold which stretch, and what may fail.
function Lies({ id, data }: { id: string; data: PlayerData }) {
  const h = usePoll<Holdings>(`${before()}/v1/videos/${id}/holdings`, 5000);
  if (h.error && !h.value) return <Failure what="The catalog does not say" why={h.error} />;
  if (!h.value) return <Loading />;
  const g = h.value;
  const stores = new Map(data.placement.stores.map((s) => [s.id, s]));
  const rows = [...g.stores].sort((a, b) => (stores.get(a.store)?.host ?? "").localeCompare(stores.get(b.store)?.host ?? "") || a.store.localeCompare(b.store));
  return (
    <>
      <p>
        {g.hosts_can_fail < 0 ? <Badge tone="bad">a part of it cannot be read now</Badge>
          : <Badge tone={g.hosts_can_fail === 0 ? "warn" : "good"}>{g.hosts_can_fail === 0 ? "no host may fail" : `any ${g.hosts_can_fail} host${g.hosts_can_fail > 1 ? "s" : ""} may fail`}</Badge>}
        {g.stores_can_fail > 0 && <Badge>any {g.stores_can_fail} store{g.stores_can_fail > 1 ? "s" : ""} may fail</Badge>}
        {g.groups_waiting > 0 && <Badge tone="warn">{g.groups_waiting} of {g.groups} groups on the way to {g.class}</Badge>}
      </p>
      <Region label="Stores that hold it">
        <table class="lies">
          <thead><tr><th>store</th><th class="n">chunks</th><th>from its beginning to its end</th></tr></thead>
          <tbody>{rows.map((r) => {
            const s = stores.get(r.store);
            return (
              <tr key={r.store}>
                <td><Dot tone={toneOf(s?.state ?? "down")} />{s?.host ?? "?"} <span class="soft">{s?.addr ?? r.store}</span></td>
                <td class="n">{count(r.chunks)}</td>
                <td><Strip digits={r.copies} kind="copies" />{r.fragments && <Strip digits={r.fragments} kind="fragments" />}</td>
              </tr>
            );
          })}</tbody>
        </table>
      </Region>
      <p class="soft"><span class="key s0" /> copies <span class="key s1" /> fragments: any three of five give a chunk back. <code>vstack video verify {id}</code> asks every store.</p>
    </>
  );
}

// Strip draws a row of shares, 0 to 9.
function Strip({ digits, kind }: { digits: string; kind: "copies" | "fragments" }) {
  const all = [...digits].filter((d) => d !== "0").length;
  return (
    <svg class={"strip " + (kind === "copies" ? "s0" : "s1")} viewBox={`0 0 ${digits.length || 1} 1`} preserveAspectRatio="none" role="img" aria-label={`${kind} of ${all} of ${digits.length} stretches`}>
      {[...digits].map((d, i) => d !== "0" && <rect key={i} x={i} y={1 - +d / 9} width="1.02" height={+d / 9} />)}
    </svg>
  );
}

function Player({ data }: { data: PlayerData }) {
  const { id, title } = data.video, tracks = data.manifest.tracks;
  const video = useRef<HTMLVideoElement>(null);
  const [now, setNow] = useState<Playing>();
  const [asked, setWay] = useQuery("through");
  const way: Way = asked === "gateway" ? "gateway" : "stores";
  useEffect(() => attach(video.current!, data, way, setNow), [data, way]);
  const texts = tracks.filter((t) => t.kind === "text");
  return (
    <>
      <video ref={video} controls playsInline autoplay muted aria-label={title} poster={tracks.some(isPoster) ? `${before()}/play/${id}/poster.jpg` : undefined} onKeyDown={keys}>
        {now?.smart && texts.map((t) => <track key={t.number} kind="subtitles" src={`${before()}/play/${id}/text/${t.number}.vtt`} srclang={t.language ?? "und"} label={t.language ?? "subtitles"} />)}
      </video>
      {tracks.some(isTiles) && <Scenes id={id} seek={(t) => { video.current!.currentTime = t; }} />}
      <div class="row between">
        <ul class="stats" aria-label="Playback">
          <li>through <b>{now?.through ?? "…"}</b></li>
          <li>first picture <b>{now?.firstPicture !== undefined ? now.firstPicture.toFixed(2) + " s" : "…"}</b></li>
          <li>buffer <b>{(now?.buffer ?? 0).toFixed(1)} s</b></li>
          <li>picture <b>{now?.size || "…"}</b></li>
          <li>frames dropped <b>{now?.dropped ?? 0}</b></li>
          <li>stalls <b>{now?.stalls ?? 0}</b></li>
          {now?.error && <li><b role="alert">{now.error}</b></li>}
        </ul>
        <Segments label="Read from" of={["stores", "gateway"]} value={way} set={(w) => setWay(w === "gateway" ? w : "")} />
      </div>
      {now?.smart && <Overlay state={now.smart} at={video.current?.currentTime ?? 0} />}
    </>
  );
}

// keys are those that people know of other players, beside the element's own.
function keys(e: KeyboardEvent) {
  const v = e.currentTarget as HTMLVideoElement;
  const by: Record<string, () => void> = {
    j: () => { v.currentTime -= 10; }, l: () => { v.currentTime += 10; }, k: () => { void (v.paused ? v.play() : v.pause()); },
    m: () => { v.muted = !v.muted; }, f: () => { void (document.fullscreenElement ? document.exitFullscreen() : v.requestFullscreen()); },
    p: () => { void (document.pictureInPictureElement ? document.exitPictureInPicture() : v.requestPictureInPicture()); },
  };
  if (e.ctrlKey || e.metaKey || e.altKey || !by[e.key]) return;
  e.preventDefault();
  by[e.key]!();
}

// Addresses of a private film have a token in them: that of this page's, or one that is signed when
// somebody at a console asks for it.
function Addresses({ id, wants }: { id: string; wants: boolean }) {
  const [token, setToken] = useState("");
  const [failed, setFailed] = useState("");
  if (wants && !token) {
    const ask = () => get<{ token?: string }>(`/v1/player/${id}/token?life=43200`).then((p) => (p.token ? setToken(p.token) : setFailed("nobody signs here")), (e: Error) => setFailed(e.message));
    return <div class="card links"><p>A private film wants a token in its address. <button class="small" onClick={ask}>Make addresses good for 12 hours</button></p>{failed && <p class="bad" role="alert">{failed}</p>}</div>;
  }
  const base = `${location.origin}${token ? "/t/" + token : before()}/play/${id}/`;
  const list: [string, string][] = [["HLS", base + "master.m3u8"], ["DASH", base + "manifest.mpd"], ["MP4", base + "film.mp4"]];
  return (
    <div class="card links">
      {list.map(([name, url]) => (
        <div key={name}><span>{name}</span><code>{url}</code><Copy text={url} name={`the ${name} address`} /></div>
      ))}
    </div>
  );
}

function Tracks({ tracks }: { tracks: Track[] }) {
  return (
    <Region label="Tracks">
      <table>
        <thead><tr><th>#</th><th>kind</th><th>codec</th><th>shown</th><th>language</th><th>rate</th><th>stream</th></tr></thead>
        <tbody>
          {tracks.map((t) => (
            <tr key={t.number}>
              <td>{t.number}</td><td>{t.kind}</td><td><code>{t.codec}</code></td><td>{shown(t)}</td><td>{t.language ?? ""}</td>
              <td>{t.bitrate > 0 ? (t.bitrate / 1e6).toFixed(2) + " Mbit/s" : ""}</td><td>{t.copied ? "copied" : "converted"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Region>
  );
}

function shown(t: Track): string {
  if (t.kind === "video") {
    const rate = t.frame_rate ? ` at ${Number(t.frame_rate.toFixed(3))} fps` : "";
    return `${t.display_width ?? t.width ?? "?"}×${t.display_height ?? t.height ?? "?"}${rate}`;
  }
  if (t.kind === "image") return `${t.width ?? "?"}×${t.height ?? "?"}, ${(t.columns ?? 1) * (t.rows ?? 1)} a picture`;
  if (t.kind === "audio") return `${t.channels ?? "?"} channels, ${t.sample_rate ?? "?"} Hz`;
  return "";
}
