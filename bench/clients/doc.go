// Package clients holds the gateway to players that nobody here wrote: hls.js, dash.js and
// Shaka in Chromium and Firefox, VLC, mpv, FFmpeg, GStreamer, and three readers of
// playlists. Its tests make one film, serve it from memory through a real gateway and a
// real cut, and say for each player what works: to the end, a cold seek, a seek into a run
// without keyframes, another rendition, another language, captions.
//
//	film ──► uploader/cut ──► memory ──► quicclient/gateway ──► player ──► picture ──► frame number
//
// Each frame of the film shows its own number as stripes, so that what a player shows
// after a seek is read off its picture, whatever the player claims.
//
// A player that is not installed is skipped aloud. `npm ci` in this folder fetches those of
// the browser. The short form plays hls.js in Chromium and FFmpeg; VSTACK_SOAK plays all
// and prints the table of docs/gateway.md.
package clients
