// Package ffmpeg runs FFmpeg's two programs for the uploader: it asks ffprobe what a
// file is, plans which streams are copied and which are converted, runs one ffmpeg
// process with one CMAF pipe a track, and puts tracks back into one file.
//
//	file ──► Probe ──► Media ──► NewPlan ──► Plan ──► Start ──► pipe 3: track 1 (fMP4)
//	                                                           pipe 4: track 2
//	                                                           …
//
// Words: a stream is what the file holds, a track is what V-Stack stores; a rendition
// is one size of the picture ("source", "720p").
//
// Invariants:
//
//   - The input is only ever a local file. Protocols are limited to file and pipe and
//     demuxers to a list of plain containers, so that a file cannot make FFmpeg read
//     another one (playlists, concat scripts, image patterns).
//   - Every argument is a constant, a number or a checked word: nothing that a client
//     sent reaches the command line.
//   - The output is a function of the file and the plan: fixed thread counts, no clock,
//     no metadata of the encoder. An upload that is cut again gives the same chunks.
//   - What reads a stranger's file runs in a jail (package jail), within Tools.Bounds.
//   - A stream is copied only if Chromium plays it from fragmented MP4 and shows what a
//     good player shows of the source; package media has the reasons.
//   - A child never outlives its owner (package child).
//
// Time: all outputs run on one clock, Shift seconds ahead of the file's, so that frames
// before zero (audio priming, reordered frames) survive; package fmp4 takes it out.
package ffmpeg
