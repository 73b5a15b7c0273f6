// Package form has the two forms of a catalog's snapshot, and makes of one the other.
//
//	whole    a published video with its manifest in it ('p'): what travels between members, what
//	         backups hold, and what is on the disk below feature level 7
//	parted   a published video with the digest and the size of its manifest ('d'), which is in
//	         the blobs beside the snapshot: on a member's own disk, from level 7 on
//
//	parted file ──► Whole ──► the same frames, each 'd' made a 'p' ──► another member
//	                  ▲
//	blobs ────────────┘
//
// Both are frames of package frame behind one magic, with the same header and the same trailer:
// the checksum covers a manifest by its digest. A snapshot may hold both kinds of frames.
//
// Invariants: what Whole answers has exactly the size that it says, or ends with an error.
package form
