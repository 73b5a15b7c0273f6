// Package index is what a store remembers of its log: for each piece (a chunk, or a
// fragment of one) where its newest bytes are, for each slot which records are its vote
// and promise, the minimums, what is kept of each placement group (seal, amnesia, claim,
// staged votes), and how many bytes of each file count.
//
// Invariants:
//   - For every key the record with the highest LSN wins, and of a placement group's
//     installs the highest attempt at each of the two newest epochs, so records may be
//     applied in any order, and twice.
//   - Until Settle, removals are only collected; from then on LSNs only grow, and
//     removals take effect at once.
//   - A piece costs 56 bytes, and 6 to 20 for finding it and growing; a slot 41 in maps
//     that Go fills to about 2/3.
package index
