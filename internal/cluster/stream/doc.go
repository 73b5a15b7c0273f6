// Package stream is a playback as one fragmented MP4 that is written while it runs, for a
// player behind a pipe: picture and sound in turn, as their fragments come.
//
//	head of all tracks │ fragments of the picture │ of the sound │ of the picture │ …
//
// Invariants: nothing is written before every track's init chunk has come; fragments stand in
// the order of their times, of two with the same the picture first, so that a player need
// not read far for its first frame; fragment numbers only grow; no frame is touched.
package stream
