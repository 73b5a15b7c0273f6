// Package erasure makes fragments of chunks and chunks of fragments, by Reed-Solomon codes
// of klauspost/reedsolomon. It is pure: no I/O, no clock, and no goroutines of its own.
//
// Words. A scheme k+m cuts a chunk into k fragments and computes m more; any k of them make
// the chunk. A leaf is 64 KiB of a chunk. A row is k leaves in order, one to a data
// fragment, and m parities over them; so every row is decoded by itself, and a range of a
// chunk needs the rows that it lies in. The last row is cut evenly:
//
//	chunk       │ leaf 0 │ leaf 1 │ leaf 2 │ leaf 3 │ leaf 4 │ leaf 5 │ … │ rest │
//	fragment 0  │ leaf 0 │ leaf 3 │ … │ first ⌈rest/k⌉ bytes │
//	fragment 1  │ leaf 1 │ leaf 4 │ … │ the next             │
//	fragment 2  │ leaf 2 │ leaf 5 │ … │ the last, and zeros  │
//	fragment 3  │ parity │ parity │ … │ parity               │
//	fragment 4  │ parity │ parity │ … │ parity               │
//
// Two mebibytes in 3+2 are ten rows and a last one of 43,691 bytes a fragment: 699,051
// bytes each. The code is the library's default matrix; golden files hold it, since
// fragments on disk outlive programs.
//
// Invariants:
//   - what Decode returns hashes to the chunk's name; a row does not have a name, so whoever
//     decodes one holds it to the chunk's leaf table;
//   - no fragment proves anything by itself, so one that is rotten is found by decoding the
//     chunk without it.
package erasure
