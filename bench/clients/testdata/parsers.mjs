// Reads all playlists of a film with three libraries and says, as JSON, what they complain of.
import HLS from "hls-parser";
import { Parser as M3U8 } from "m3u8-parser";
import * as MPD from "mpd-parser";
import { createRequire } from "node:module";

// mpd-parser looks for a DOM where it runs.
globalThis.window = globalThis;
const { DOMParser } = createRequire(import.meta.url)("@xmldom/xmldom");
globalThis.DOMParser ??= DOMParser;

const [base, ...tracks] = process.argv.slice(2);
const found = { Complaints: [], Renditions: {} };
const text = async (path) => {
  const a = await fetch(base + path);
  if (!a.ok) throw new Error(path + ": " + a.status);
  return a.text();
};
const complain = (who, path, what) => found.Complaints.push(`${who}: ${path}: ${what}`);

HLS.setOptions({ strictMode: true });
const paths = ["/master.m3u8"];
for (const t of tracks) {
  paths.push(`/${t}/index.m3u8`);
  if ((await fetch(`${base}/${t}/iframes.m3u8`)).ok) paths.push(`/${t}/iframes.m3u8`);
}
for (const path of paths) {
  const body = await text(path);
  try {
    const list = HLS.parse(body);
    if (list.isMasterPlaylist) found.Renditions["hls-parser"] = list.variants.filter((v) => !v.isIFrameOnly).length;
  } catch (e) {
    complain("hls-parser", path, e.message);
  }
  const p = new M3U8();
  p.on("warn", (e) => complain("m3u8-parser", path, e.message));
  p.on("error", (e) => complain("m3u8-parser", path, e.message));
  p.push(body);
  p.end();
  if (p.manifest.playlists) found.Renditions["m3u8-parser"] = p.manifest.playlists.length;
}
try {
  const mpd = MPD.parse(await text("/manifest.mpd"), { manifestUri: base + "/manifest.mpd", eventHandler: ({ type, message }) => complain("mpd-parser", type, message) });
  found.Renditions["mpd-parser"] = mpd.playlists.length;
} catch (e) {
  complain("mpd-parser", "/manifest.mpd", e.message);
}
console.log(JSON.stringify(found));
