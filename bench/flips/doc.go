// Package flips changes single bytes in the files of a running store and watches what
// the store makes of it.
//
//	Map ── regions of every file ── pick a place ── flip one bit
//	                                                  │
//	       every chunk is read from the store: right bytes or a clean error
//	       every byte is scrubbed; the store's findings are compared with the flips
//	                                                  │
//	       the byte is put back where it still is; the store has healed from its peers
//
// Words: a flip is one bit of one byte inverted; a region is what the byte is part of; a
// flip is reported when a finding of the store covers its place; a batch is the flips
// that are there at the same time.
//
// A flip may go unreported only where a region says why nothing reads it (Harmless).
// Such regions get batches of their own, in which nothing may be found or refused.
package flips
