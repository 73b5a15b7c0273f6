// Plays a film in one player and says when its first picture was there, when that of a cold
// seek, and how often it stood still. Programs are loaded before the clock starts.
const v = document.getElementById("v");
const script = (src) => new Promise((ok, no) => {
  const s = document.createElement("script");
  s.src = src; s.onload = ok; s.onerror = () => no(new Error("cannot load " + src));
  document.head.append(s);
});
const within = (ms, what, p) => Promise.race([p, new Promise((_, no) => setTimeout(() => no(new Error(`not within ${ms / 1000} s: ${what}`)), ms))]);
const once = (name) => new Promise((ok) => v.addEventListener(name, ok, { once: true }));
const until = (what, test, ms) => within(ms, what, new Promise((ok) => {
  const t = setInterval(() => { if (test()) { clearInterval(t); ok(); } }, 20);
}));

// Each loads its program, and gives what begins to play.
const players = {
  async stores() {
    const { load, canPlay, Player } = await import("/assets/vstack-player.js");
    return async (origin, film) => {
      const from = performance.now(), data = await load(origin, film);
      window.loaded = (performance.now() - from) / 1000;
      if (!canPlay(data)) throw new Error("the stores cannot be read here");
      const p = new Player(v, data, origin);
      window.smart = p;
      await p.start();
    };
  },
  async hls() {
    await script("/lib/hls.js/dist/hls.min.js");
    return async (origin, film) => {
      const h = new Hls();
      h.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) window.fatal = e.type + " " + e.details; });
      h.loadSource(`${origin}/play/${film}/master.m3u8`);
      h.attachMedia(v);
    };
  },
  async shaka() {
    await script("/lib/shaka-player/dist/shaka-player.compiled.js");
    return async (origin, film) => {
      const p = new shaka.Player();
      await p.attach(v);
      await p.load(`${origin}/play/${film}/manifest.mpd`);
    };
  },
};

// plays carries the picture on by some seconds, and counts what stands still meanwhile.
async function plays(seconds) {
  const from = v.currentTime, began = performance.now();
  let waits = 0;
  const wait = () => { if (!v.seeking) waits++; };
  await v.play(); // until it goes
  v.addEventListener("waiting", wait);
  await until(`${seconds} s are played`, () => v.currentTime >= from + seconds, 60000);
  v.removeEventListener("waiting", wait);
  v.pause();
  return { waits, late: Math.max(0, (performance.now() - began) / 1000 - seconds) };
}

// account is what helps to find out why a player stands still.
function account() {
  const spans = (b) => [...Array(b.length).keys()].map((i) => `${b.start(i).toFixed(2)}-${b.end(i).toFixed(2)}`).join(" ");
  const p = window.smart;
  return JSON.stringify({
    at: v.currentTime, ready: v.readyState, seeking: v.seeking, buffered: spans(v.buffered), error: v.error?.message ?? window.fatal ?? p?.state.error,
    lanes: p?.lanes.map((l) => ({
      kind: l.track.kind, next: l.next, failed: l.failed, running: l.running, updating: l.source.updating, buffered: spans(l.source.buffered),
      coming: l.coming.map((c) => ({ seq: c.chunk.seq, size: c.chunk.size, head: c.head, appended: c.appended, skip: c.skip })),
    })),
    readings: p?.engine.readings.map((r) => ({ size: r.want.chunk.size, head: r.ledger.head, parts: r.parts.length, runs: r.asked, failed: r.failed.size })), stores: p?.state.stores,
  });
}

window.beside = (...play) => beside(...play).catch((e) => { throw new Error(`${e.message} ${account()}`); });

async function beside(kind, origin, film, to, seconds) {
  const start = await players[kind]();
  performance.setResourceTimingBufferSize(2000);
  const t0 = performance.now(), since = () => (performance.now() - t0) / 1000;
  const picture = within(60000, "the first picture", once("loadeddata"));
  await start(origin, film);
  await picture;
  const first = since(), before = await plays(seconds), stood = performance.now();
  v.currentTime = to;
  await within(60000, "the seek", once("seeked"));
  const seek = (performance.now() - stood) / 1000, after = await plays(seconds);
  const s = window.smart?.state;
  return {
    first, seek, waits: before.waits + after.waits, late: before.late + after.late, error: window.fatal ?? s?.error ?? "", landed: v.currentTime,
    ...(s && { useful: s.useful, extra: s.extra, gateway: s.gateway, steps: Object.fromEntries(Object.entries({ loaded: window.loaded, ...s.steps }).map(([k, t]) => [k, +t.toFixed(3)])), firstPicture: s.firstPicture }),
  };
}
