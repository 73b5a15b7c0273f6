// Package vstack holds the nouns of V-Stack and its sentinel errors.
//
// Every other package speaks in these words, so identifiers are types and never
// bare strings. The package does no I/O, reads no clock and imports nothing but
// the standard library.
//
//	video ── upload (one attempt, one Incarnation)
//	  └─ track ── slot (video, track, seq) ── chunk (≤ 2 MiB, SHA-256)
//	                └─ placement group (128) ── 5 ordered target stores
//
// A Slot is the place that ChunkPaxos fills with exactly one Value; a ChunkID is
// the SHA-256 of the chunk's bytes, so bytes from anywhere can be checked.
package vstack
