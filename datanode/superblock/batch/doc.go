// Package batch turns records into the bytes of a place in a superblock: what can be
// computed before the place is known, by whoever appends, and the rest once it is, by the
// one writer.
//
// Invariants: Data is referenced and never copied, but encrypted into memory of the batch's own
// where the store has a key; a batch may be laid out anew for another
// format version until it is placed.
package batch
