// Package seal encrypts the data of records and opens it again: AES-256-GCM, block by block.
//
// Words. A data key is a store's: 32 random bytes, of a generation. A stretch is what is
// appended between one opening of a file for append and the next: it begins with 32 random
// bytes, and its key is HKDF-SHA256 of the data key with these as the salt. A record's number
// counts the records that were sealed in the stretch.
//
//	key    HKDF-SHA256(data key, salt: stretch, info: "vstack superblock stretch")
//	nonce  │ number of the record 8 B │ number of the block 4 B │, little-endian
//	bound  │ chunk id 32 B │ size of the chunk 4 B │ k │ m │ i │ 1 if there is a leaf table │
//
// Invariants:
//   - No key has one nonce for two contents: a stretch's random bytes are drawn anew whenever a
//     file is opened for append, so a tail that a crash cut off, and that is written again, has
//     another key; within a stretch each record has a number of its own.
//   - A record opens by itself: its stretch, its number and its tags are in its header, so that
//     it moves to another file as it is, and rot of one place costs one record.
//   - What a block is opened to has passed its tag, which binds it to its chunk and its place.
package seal
