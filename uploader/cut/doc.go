// Package cut makes a manifest of a file: one run of FFmpeg, a pipe a track, fragments
// put together to chunks, each chunk named and handed to a Sender.
//
//	file ──► ffmpeg ──► fragments ──► chunks ──► SHA-256 ──► Sender
//	                                    └──────► manifest
//
// Words: a cut is one such run; its plan says what becomes of each stream (package
// ffmpeg).
//
// Invariants: the chunks are a function of file, plan and level; the first error of any
// part ends all others, and Run returns once nothing of them is left; memory is one chunk
// and one fragment a track, since a Sender that is full holds up the pipes.
package cut
