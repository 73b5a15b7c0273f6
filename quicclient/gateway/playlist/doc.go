// Package playlist writes what stock players read of a manifest: HLS playlists, a DASH
// description, and the table that says which bytes of which chunks a segment is made of.
//
//	chunks     |──────── 1 ────────|──────── 2 ────────|─── 3 ───|
//	cut points ^         ^         ^       ^           ^
//	segments   |──── 1 ──|── 2 ────|── 3 ──|──── 4 ────|── 5 ────|
//
// Words: a cut point is a keyframe that every rendition has; a segment is the run of
// whole fragments from one cut point to the next, so it starts with a keyframe and lies
// in one chunk or in several; a part is the piece of a segment that lies in one chunk. A
// manifest without fragments has segments of whole chunks, up to the next chunk that
// starts with a keyframe.
//
// The package is pure: a manifest in, text out.
package playlist
