// Plays a film in a video element: from the stores themselves where the browser has
// WebTransport, else through the gateway: hls.js where there are media sources, the browser's
// own HLS on Apple's, the whole file where there is neither.
import type HlsType from "hls.js";
import { before, PlayerData, Session, carried } from "./api";
import type { Early } from "./player/early";
import type { Data } from "./player/manifest";
import type { Player, State } from "./player/player";

export interface Playing {
  through: string; firstPicture: number | undefined; buffer: number; size: string; dropped: number; stalls: number; error: string;
  smart: State | undefined; // what the player of the stores knows
}

// begin loads the player of the stores and dials them, while the film is asked for.
export async function begin(): Promise<Early | undefined> {
  if (new URLSearchParams(location.search).get("through") === "gateway" || !("WebTransport" in window)) return undefined;
  const { Early } = await import("./player/player");
  return new Early("", carried());
}

// ways are how a page may be asked to play.
export type Way = "stores" | "gateway";

// attach starts to play and reports twice a second, to the page and, less often, to the
// server, whose page of playbacks shows it; what it returns ends it.
export function attach(video: HTMLVideoElement, data: PlayerData, way: Way, report: (now: Playing) => void): () => void {
  const id = data.video.id;
  const base = before() + "/play/" + id;
  const session = crypto.randomUUID();
  const began = performance.now();
  let told = 0, stalledAt = 0, stallTime = 0;
  const now: Playing = { through: "", firstPicture: undefined, buffer: 0, size: "", dropped: 0, stalls: 0, error: "", smart: undefined };
  let hls: HlsType | undefined;
  let smart: Player | undefined;
  let because = ""; // why the stores are not read from
  let ended = false;

  const first = () => { now.firstPicture ??= (performance.now() - began) / 1000; };
  const stalled = () => {
    if (now.firstPicture === undefined || video.seeking || stalledAt) return;
    now.stalls++;
    stalledAt = performance.now();
  };
  const goesOn = () => {
    if (stalledAt) stallTime += (performance.now() - stalledAt) / 1000;
    stalledAt = 0;
  };
  const state = () => {
    if (now.error) return "failed";
    if (now.firstPicture === undefined) return "starting";
    return video.ended ? "ended" : video.paused ? "paused" : stalledAt ? "stalled" : "playing";
  };
  // tell reports to the server; the last time also when the page is on its way out.
  const tell = (state: string) => {
    told = performance.now();
    const r: Partial<Session> = {
      video: id, player: now.through.slice(0, 60) || "page", state, picture: now.size, position: video.currentTime, duration: video.duration || 0, buffer: now.buffer,
      startup: now.firstPicture ?? 0, stalls: now.stalls, stall_time: stallTime, rate: hls?.bandwidthEstimate || smart?.rate || 0, dropped: now.dropped,
      ...(smart && {
        policy: "smart", bytes: smart.state.useful + smart.state.gateway, hedges: smart.state.steals,
        sources: smart.state.stores.filter((s) => s.bytes > 0).map((s) => ({
          store: s.id, bytes: s.bytes, chunks: s.chunks, score: Number.isFinite(s.score) ? s.score / 2 : 0, rtt: s.rtt, rate: s.rate * 8, loss: s.loss, in_flight: s.inFlight, ejected: s.ejected,
        })),
      }),
    };
    void fetch("/v1/sessions/" + session, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(r), keepalive: true }).catch(() => undefined); // the picture matters more
  };
  const failed = () => { now.error = video.error?.message || "the film cannot be decoded here"; };
  video.addEventListener("loadeddata", first);
  video.addEventListener("waiting", stalled);
  video.addEventListener("playing", goesOn);
  video.addEventListener("error", failed);

  const timer = setInterval(() => {
    if (smart) {
      now.smart = smart.state;
      now.through = smart.state.through;
      if (smart.state.error) giveUp(smart.state.error);
    }
    now.buffer = ahead(video);
    now.size = video.videoWidth ? `${video.videoWidth}×${video.videoHeight}` : "";
    now.dropped = video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0;
    report({ ...now });
    if (performance.now() - told > 2000) tell(state());
  }, 500);

  // giveUp plays on through the gateway from where the stores' player got to.
  function giveUp(why: string) {
    if (!smart || ended) return;
    const at = video.currentTime;
    smart.stop();
    smart = now.smart = undefined;
    because = ` (not the stores: ${why})`;
    if (at > 0) video.addEventListener("loadedmetadata", () => { video.currentTime = at; }, { once: true });
    void start("gateway");
  }

  void start(way);
  async function start(way: Way) {
    if (way === "stores" && "WebTransport" in window) {
      const { Player, canPlay } = await import("./player/player");
      if (ended) return;
      const film = data as unknown as Data;
      if (!film.webtransport?.length) because = " (not the stores: none has a door for browsers now)";
      if (canPlay(film)) {
        smart = new Player(video, film, "", carried());
        Object.assign(video, { player: smart }); // for tests and the curious
        now.through = smart.state.through;
        await smart.start().catch((e: Error) => giveUp(e.message));
        return;
      }
    }
    if ("MediaSource" in window || "ManagedMediaSource" in window) {
      const { default: Hls } = await import("hls.js");
      if (ended) return;
      if (Hls.isSupported()) {
        now.through = "the gateway: HLS, hls.js " + Hls.version + because;
        hls = new Hls({ enableWorker: false, maxBufferLength: 30, cmcd: { sessionId: session, contentId: id } });
        hls.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) now.error = `${e.type}: ${e.details}`; });
        hls.loadSource(base + "/master.m3u8");
        hls.attachMedia(video);
        return;
      }
    }
    if (video.canPlayType("application/vnd.apple.mpegurl")) {
      now.through = "the gateway: HLS, by the browser" + because;
      video.src = base + "/master.m3u8";
    } else {
      now.through = "the gateway: one MP4 file" + because;
      video.src = base + "/film.mp4";
    }
  }

  return () => {
    ended = true;
    clearInterval(timer);
    tell("ended");
    hls?.destroy();
    smart?.stop();
    video.removeEventListener("loadeddata", first);
    video.removeEventListener("waiting", stalled);
    video.removeEventListener("playing", goesOn);
    video.removeEventListener("error", failed);
    video.removeAttribute("src");
    video.load();
  };
}

// ahead is how much of the film is buffered beyond the picture that is carried, seconds.
function ahead(video: HTMLVideoElement): number {
  const b = video.buffered;
  for (let i = 0; i < b.length; i++) {
    if (b.start(i) <= video.currentTime + 0.1 && video.currentTime < b.end(i)) return b.end(i) - video.currentTime;
  }
  return 0;
}
