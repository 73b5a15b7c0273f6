// Package sealed encrypts what a role keeps in its directory beside chunks: entries of a log,
// files that are written from their beginning to their end, and small files that are replaced
// whole.
//
// Words. A data key is a directory's: 32 random bytes. A note is some bytes that are sealed at
// once, a stream is a file that is written in order.
//
// A note, AES-256-GCM under a key of the box that sealed it. A box draws its random bytes when
// it is made, and numbers its notes:
//
//	0      8  "VSTKNOT" and the version byte 1
//	8     32  random bytes of the box; the key is HKDF-SHA256 of the data key with them as the salt
//	40     8  number of the note, little-endian: the nonce is this and four zero bytes
//	48     …  ciphertext
//	end   16  tag, which also binds what the caller says that the note is
//
// A stream, AES-256-GCM under a key of its own:
//
//	0      8  "VSTKSTR" and the version byte 1
//	8     32  random bytes of the stream; the key is HKDF-SHA256, as above
//	40     …  blocks of 64 KiB, each with its tag of 16 B behind it; the last one is shorter, or
//	          as long, and there is always one. The nonce is the block's number, 8 B
//	          little-endian, then 1 for the last block and 0 for others, then three zero bytes
//
// Invariants:
//   - No key has one nonce for two contents: a box and a stream draw random bytes of their
//     own, and neither uses a number twice.
//   - A stream that was cut off is told from a whole one, at a block's end too.
//   - What is opened has passed its tag. Errors are vstack.ErrCorrupt, and tell no content.
package sealed
