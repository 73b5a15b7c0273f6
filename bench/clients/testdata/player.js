// Drives one player through one film and says what it found: each feature is "yes" or why
// not. ?player=hls|dash|shaka-hls|shaka-dash&base=/play/ID&after=?t=TOKEN&run=N&stripes=16&rate=25&low=N&de=N
"use strict";
const q = new URLSearchParams(location.search);
const after = q.get("after") || ""; // behind an address: ?t=TOKEN
const video = document.getElementById("v");
const found = {};
let fatal = "", state; // what the player adds to an account of a failure

const spans = (b) => [...Array(b.length).keys()].map((i) => `${b.start(i).toFixed(2)}-${b.end(i).toFixed(2)}`).join(" ");

const script = (src) => new Promise((ok, no) => {
  const s = document.createElement("script");
  s.src = src; s.onload = ok; s.onerror = () => no(new Error("cannot load " + src));
  document.head.append(s);
});

const until = (what, test, limit = 60000) => new Promise((ok, no) => {
  const end = performance.now() + limit;
  const look = () => {
    let got;
    try { got = test(); } catch (e) { return no(e); }
    if (got) return ok(got);
    if (fatal) return no(new Error(fatal));
    if (performance.now() > end) return no(new Error("not within " + limit / 1000 + " s: " + what));
    setTimeout(look, 50);
  };
  look();
});

// frame reads the number of the frame that is shown.
function frame() {
  const c = document.createElement("canvas"), n = +q.get("stripes");
  c.width = n; c.height = 1;
  const g = c.getContext("2d", { willReadFrequently: true });
  g.imageSmoothingEnabled = true;
  g.drawImage(video, 0, video.videoHeight / 2, video.videoWidth, 2, 0, 0, n, 1);
  const d = g.getImageData(0, 0, n, 1).data;
  let v = 0;
  for (let i = 0; i < n; i++) if (d[4 * i] > 127) v += 2 ** i;
  return v;
}

const asked = (track) => performance.getEntriesByType("resource").filter((e) => e.name.includes(`/${track}/`)).length;

// players: each makes { audio(lang), text(lang), rendition() } of a loaded player.
const players = {
  async hls(url) {
    await script("/lib/hls.js/dist/hls.min.js");
    const h = new Hls({ maxBufferLength: 12, startLevel: -1, cmcd: {} });
    h.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) fatal = e.type + " " + e.details; });
    h.loadSource(url + "/master.m3u8" + after);
    h.attachMedia(video);
    return {
      version: Hls.version,
      rendition: () => { h.currentLevel = h.levels.findIndex((l) => l.height === Math.min(...h.levels.map((x) => x.height))); },
      audio: (lang) => { h.audioTrack = h.audioTracks.findIndex((t) => t.lang === lang); },
      text: (lang) => { h.subtitleDisplay = true; h.subtitleTrack = h.subtitleTracks.findIndex((t) => t.lang === lang); },
    };
  },
  async dash(url) {
    await script("/lib/dashjs/dist/modern/umd/dash.all.min.js");
    const p = dashjs.MediaPlayer().create();
    p.updateSettings({ streaming: { buffer: { bufferTimeDefault: 12, bufferTimeAtTopQuality: 12, bufferTimeAtTopQualityLongForm: 12, fastSwitchEnabled: true }, cmcd: { enabled: true }, text: { defaultEnabled: false } } });
    // Of dash.js every failed request is an error, also one that it has another address for.
    if (!q.get("through")) p.on(dashjs.MediaPlayer.events.ERROR, (e) => { fatal = "error " + (e.error && (e.error.message || e.error.code) || e.error); });
    p.initialize(video, url + "/manifest.mpd" + after, false);
    await until("the description is read", () => p.isReady() && p.getTracksFor("video").length);
    const pick = (kind, lang) => p.getTracksFor(kind).find((t) => t.lang === lang);
    return {
      version: p.getVersion(),
      rendition: () => {
        p.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } });
        const low = p.getRepresentationsByType("video").reduce((a, b) => (a.height < b.height ? a : b));
        p.setRepresentationForTypeById("video", low.id, true);
      },
      audio: (lang) => p.setCurrentTrack(pick("audio", lang)),
      text: (lang) => { p.enableText(true); p.setTextTrack(p.getTracksFor("text").indexOf(pick("text", lang))); },
    };
  },
  async shaka(url, form) {
    await script("/lib/shaka-player/dist/shaka-player.compiled.js");
    shaka.polyfill.installAll();
    const p = new shaka.Player();
    await p.attach(video);
    // In Firefox Shaka 5.2 feeds what it fetched ahead of DASH over and over after a change of language.
    const ahead = navigator.userAgent.includes("Firefox") ? { segmentPrefetchLimit: 0 } : {};
    p.configure({ streaming: { bufferingGoal: 12, ...ahead }, cmcd: { enabled: true } });
    p.addEventListener("error", (e) => { if (e.detail.severity === 2 && !q.get("through")) fatal = "error " + e.detail.code + " " + JSON.stringify(e.detail.data).slice(0, 200); });
    state = () => ", " + JSON.stringify(p.getBufferedInfo());
    await p.load(url + (form === "hls" ? "/master.m3u8" + after : "/manifest.mpd" + after));
    return {
      version: shaka.Player.version,
      rendition: () => {
        p.configure({ abr: { enabled: false } });
        const active = p.getVariantTracks().find((t) => t.active);
        const low = p.getVariantTracks().filter((t) => t.language === active.language).reduce((a, b) => (a.height < b.height ? a : b));
        p.selectVariantTrack(low, true);
      },
      audio: (lang) => { const t = p.getAudioTracks().find((x) => x.language === lang); p.selectAudioTrack(t); },
      text: async (lang) => { await p.selectTextTrack(p.getTextTracks().find((t) => t.language === lang)); },
      cues: () => [...document.querySelectorAll("div,span")].some((e) => e.textContent.includes("Guten Tag")),
    };
  },
};

// seek goes there and wants the frame of that time to be shown.
async function seek(to) {
  video.pause();
  video.currentTime = to;
  await until("the seek to " + to + " s has ended", () => !video.seeking && video.readyState >= 2);
  if (Math.abs(video.currentTime - to) > 0.5) throw new Error(`a seek to ${to} s landed at ${video.currentTime.toFixed(2)} s`);
  const want = Math.floor(video.currentTime * +q.get("rate"));
  let got;
  await until("the frame of " + to + " s", () => Math.abs((got = frame()) - want) <= 2, 10000).catch(() => { throw new Error(`at ${video.currentTime.toFixed(2)} s frame ${got} is shown, not ${want}`); });
}

async function feature(name, run) {
  try {
    await run();
    found[name] = "yes";
  } catch (e) {
    found[name] = `${e.message || e} [at ${video.currentTime.toFixed(2)} s of ${spans(video.buffered)}, ready ${video.readyState}, ${video.paused ? "paused" : "playing"}${video.seeking ? ", seeking" : ""}${state?.() ?? ""}]`;
  }
}

async function main() {
  const url = new URL(q.get("base"), location.origin).href;
  const [kind, form] = q.get("player").split("-");
  const p = await players[kind](url, form);
  found.version = p.version;
  video.playbackRate = 1;
  await video.play().catch(() => undefined); // it is asked again below
  await until("the film plays", () => { if (video.paused) video.play().catch(() => undefined); return video.currentTime > 0.5; });
  if (q.get("through")) { // whoever looks at it breaks something meanwhile
    const stalled = [];
    video.addEventListener("waiting", () => stalled.push(video.currentTime.toFixed(2)));
    await feature("to the end", () => until("the end", () => video.ended, 90000));
    found.at = video.currentTime.toFixed(2);
    found.stalled = stalled.join(" ");
    return;
  }
  await feature("captions", async () => {
    await p.text("de"); // early: Shaka keeps cues of HLS back until the next piece of picture comes
    await video.play(); // cues may come with the time
    await until("a caption is there", () => [...video.textTracks].some((t) => {
      if (t.mode === "disabled") t.mode = "hidden"; // a disabled track shows nobody its cues
      return [...(t.cues || [])].some((c) => c.text.includes("Guten Tag"));
    }) || p.cues?.()).catch((e) => {
      throw new Error(`${e.message}; ${performance.getEntriesByType("resource").filter((r) => r.name.includes(".vtt")).length} documents were asked for; tracks ${JSON.stringify([...video.textTracks].map((t) => [t.language, t.mode, t.cues && t.cues.length]))}`);
    });
  });
  await feature("cold seek", () => seek(23.3));
  await feature("seek in a run", () => seek(16.52));
  await feature("languages", async () => {
    const before = asked(q.get("de"));
    p.audio("de");
    await video.play();
    await until("the other sound is asked for", () => asked(q.get("de")) > before);
    const at = video.currentTime;
    await until("it plays on", () => video.currentTime > at + 1);
  });
  await feature("renditions", async () => {
    p.rendition();
    await until("the smaller picture is shown", () => { if (video.paused) video.play().catch(() => undefined); return video.videoHeight === 360; });
    await seek(5.3);
  });
  await feature("to the end", async () => {
    await seek(27.1);
    await video.play();
    await until("the end", () => video.ended, 30000);
    if (video.currentTime < 29.5) throw new Error("it ended at " + video.currentTime);
    for (let i = 1; i < video.buffered.length; i++) {
      if (video.buffered.start(i) - video.buffered.end(i - 1) < 0.001) throw new Error("a hole of no length is buffered");
    }
  });
  if (fatal) found.error = fatal;
}

main().catch((e) => { found.error = String(e.message || e); }).finally(() =>
  fetch("/result?run=" + q.get("run"), { method: "POST", body: JSON.stringify(found) }));
