// The film in small pictures below the player: a click goes there.
import { useEffect, useState } from "preact/hooks";
import { before, clock, Track } from "./api";

export interface Tile { start: number; url: string; x: number; y: number; w: number; h: number; }

export const isPoster = (t: Track) => t.kind === "image" && (t.columns ?? 1) * (t.rows ?? 1) === 1;
export const isTiles = (t: Track) => t.kind === "image" && !isPoster(t);

// most bounds the pictures in the row; a long film shows fewer of its own.
const most = 60;

// parse reads thumbs.vtt: a time, then an address with the place in its picture.
export function parse(text: string, base: string): Tile[] {
  const out: Tile[] = [];
  const cue = /(\d+):(\d\d):(\d\d\.\d{3}) --> \S+\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)/g;
  for (const m of text.matchAll(cue)) {
    const [h, min, s, url, x, y, w, height] = m.slice(1) as [string, string, string, string, string, string, string, string];
    out.push({ start: +h * 3600 + +min * 60 + +s, url: base + url, x: +x, y: +y, w: +w, h: +height });
  }
  return out;
}

export function Scenes({ id, seek }: { id: string; seek: (time: number) => void }) {
  const [tiles, setTiles] = useState<Tile[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    const base = `${before()}/play/${id}/`;
    fetch(base + "thumbs.vtt", { signal: stop.signal })
      .then(async (a) => (a.ok ? setTiles(parse(await a.text(), base)) : undefined), () => undefined);
    return () => stop.abort();
  }, [id]);
  const every = Math.ceil(tiles.length / most);
  return (
    <div class="scenes" role="group" aria-label="Scenes">
      {tiles.filter((_, i) => i % every === 0).map((t) => (
        <button key={t.start} onClick={() => seek(t.start)} aria-label={"Go to " + clock(t.start)} title={clock(t.start)}
          style={{ width: t.w + "px", height: t.h + "px", backgroundImage: `url(${t.url})`, backgroundPosition: `-${t.x}px -${t.y}px` }} />
      ))}
    </div>
  );
}
