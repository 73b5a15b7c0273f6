// Package source is a file that was uploaded, on its way through the spool, encrypted or not.
//
// FFmpeg reads it itself, at any place, and its jail has no other way to it than a
// descriptor. So it has the one form that FFmpeg decrypts by itself: AES-128-CBC with the
// padding of PKCS 7 (its protocol "crypto"). Beside an encrypted file FILE lies FILE.key:
//
//	0      8  "VSTKSRC" and the version byte 1
//	8     32  random bytes; key and first block of the chain, 16 B each, are HKDF-SHA256 of the
//	          data key of the spool with them as the salt
//	40     4  CRC32C of all before it
//
// Invariants:
//   - After each Sync the file ends with the padding, so that FFmpeg reads all that came. What
//     comes next overwrites the last block: it begins with the same bytes, so a crash between
//     the two leaves either.
//   - A file without one beside it is plain.
//   - Nothing here proves the bytes: their SHA-256 was taken as they came.
package source
