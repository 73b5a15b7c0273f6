// Package media says what a file is: its streams, what of them a browser plays as they are, and what
// colours and layouts they get where they are converted. It runs nothing: package ffmpeg does.
//
//	ffprobe's JSON ─► Description ─► Media ─► Stream ── Playable, UnplayableVideo, Converted …
//	container.Facts ──── Apply ──────► ┘
//
// Words: a stream is what the file holds; a reason (Why) is what keeps it from being copied.
//
// Invariants: names are FFmpeg's, "" is unknown, and a name of another form is not believed, so that
// whatever comes of a file may stand in a command line; times are seconds after the file's start.
package media
