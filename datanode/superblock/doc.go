// Package superblock is the log-structured store of one data directory: chunks, votes
// and the rest of an acceptor's memory in append-only files of 1 GiB.
//
// Words. A piece is a chunk, or a fragment of one in an erasure code. A record is one
// thing said: a piece's bytes, for a chunk with or without a vote, a vote, a promise, a
// tombstone. A batch is the records of one Append, kept all or none. A group
// is the batches that were waiting together: one write, one fdatasync. A superblock is
// one file; the active one is appended to, a full one is sealed with a footer that
// repeats its record headers, so that opening reads footers only. An LSN counts
// records; a record that compaction moves keeps its LSN, and of two records about the
// same thing the higher LSN counts, wherever they are.
//
//	file    │ header 4 KiB │ group │ group │ … │ footer: entries │ trailer 64 B │
//	group   │ record │ record │ … │ zeros up to a multiple of 4 KiB │
//	record  │ fixed 160 or 192 B │ CRC32C (and tag) of each block │ pad to 64 │ data │ pad │ leaf table │ pad │
//
// The bytes are in docs/format/superblock.md.
//
// Invariants:
//   - Append returns only after fdatasync of all that it wrote; a group has exactly one.
//   - A group starts on a fresh page behind everything durable, so no write can damage
//     what was acknowledged, and damage before the last group is rot, not a torn tail.
//   - No vote is recorded for bytes that are not here; fragments are not the chunk's bytes.
//   - No byte is returned whose block has not passed its CRC32C, or of a sealed record its tag.
//   - In a store with a data key no plain byte of a piece that was appended is in any file.
//   - After a failed write or sync nothing is acknowledged; Config.Fatal is called once.
//   - A file has one format version; STORE says the highest one before a file of it begins.
//   - Rot is reported and kept; a chunk in it is not served, and is replaced by storing
//     it anew.
package superblock
