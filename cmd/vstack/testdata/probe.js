// Beside a film's page in a browser that no debugger drives: says how the page fares, and does as
// the test says.
const wait = (ms) => new Promise((ok) => setTimeout(ok, ms));
let waits = 0;
const watched = new WeakSet();
for (;;) {
  const v = document.querySelector("video");
  if (v && !watched.has(v)) {
    watched.add(v);
    v.addEventListener("waiting", () => { if (v.currentTime > 0 && !v.seeking) waits++; });
  }
  const q = v?.getVideoPlaybackQuality?.();
  const told = {
    at: v?.currentTime ?? 0, seeking: v?.seeking ?? false, ready: v?.readyState ?? 0, ended: v?.ended ?? false, waits, failed: v?.error?.message ?? "",
    frames: q?.totalVideoFrames ?? 0, dropped: q?.droppedVideoFrames ?? 0, player: v?.player?.state ?? {}, through: document.querySelector(".stats b")?.textContent ?? "",
    alert: document.querySelector('[role="alert"]')?.textContent ?? "", agent: navigator.userAgent, transport: "WebTransport" in window, secure: isSecureContext,
  };
  try {
    const answer = await fetch("/probe/told", { method: "POST", body: JSON.stringify(told) });
    const order = await answer.json();
    if (v && order.pause) v.pause();
    if (v && order.seek !== undefined) v.currentTime = order.seek;
    if (v && order.rate) {
      v.playbackRate = order.rate;
      await v.play();
    }
  } catch { /* the next one tells */ }
  await wait(100);
}
