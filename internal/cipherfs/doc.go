// Package cipherfs is a file system of pebble's whose files are encrypted. Names and sizes stay
// readable, contents do not.
//
//	0      8  "VSTKVFS" and the version byte 1
//	8     32  random bytes of the file; its key is HKDF-SHA256 of the data key with them as the salt
//	40     …  content, AES-256-CTR: the counter is the place in the content, in units of 16 bytes
//
// Pebble writes a file from its beginning to its end and then never again, and syncs it in the
// midst of blocks: so no block has a tag, and no byte of a key is used twice. That a file is
// what was written, pebble's own checksums say, which are inside.
//
// Invariants:
//   - Each file has a key of its own, drawn when it is made. A log is never written over: what
//     pebble would reuse is removed, and a new file made.
//   - A file that a crash left without its head is empty: had anything in it been synced, the
//     head would be there, too.
//   - The file of the data key is not touched, and outlives what else is removed.
package cipherfs
