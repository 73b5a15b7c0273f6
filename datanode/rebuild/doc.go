// Package rebuild makes chunks and fragments that a store should have, or is asked for, of
// fragments that it and its peers hold.
//
//	GET of a chunk ──────► Chunk    ─┐            ┌─ fragments here
//	converge, cooling ───► Fragment ─┼─► gather k ┤
//	scrub ───────────────► Prove    ─┘   decode   └─ fragments of the group's other targets
//
// Words. A chunk's home is the slot that it fills and the stores that hold pieces of it.
// Gathering is late-binding: k requests, another one for each that fails or is slow.
//
// Invariants:
//   - what leaves hashes to the chunk's name, and a fragment is made of a chunk that does;
//   - peers are asked for fragments that they hold only, so that no request makes another
//     store gather in turn;
//   - gathering and decoding have a budget of memory of their own, which requests wait for;
//   - a fragment here that is not the chunk's, though its checksums are right, is condemned.
package rebuild
