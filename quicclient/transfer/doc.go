// Package transfer reads chunks: it is the runtime of quicclient/policy. It shows the policy
// every piece that is still to come, carries out what it decides, and verifies what comes.
//
//	Read ─► chunk: one buffer, pieces, ledger of leaves
//	          │ View                       ▲ bytes, each once
//	        policy ─ start, take, cancel ─► attempts: GET with Range, one goroutine each
//	                                        │
//	        ledger: leaf complete ─► hash ─► verified prefix ─► Progress ─► player
//
// Words: a piece is a run of bytes that nobody has brought yet, with the attempts that are
// to bring it; a share is where the bytes of a piece go: the chunk's buffer for copies,
// which all holders share, or a buffer of its own for each holder of an erasure row; the
// ledger knows which bytes came from whom and which leaves are proven.
//
// Invariants: a byte that came is never asked for again unless it proved to be wrong;
// pieces write to disjoint parts of the buffer; hashing and copying happen outside the
// engine's lock; nothing is handed on that is not proven by a leaf of a table that hashes
// to the manifest's root, or by the hash of the whole chunk; only bytes that contradict a
// proven table, or a chunk that came from one store alone, speak against a store.
//
// Locks are taken in the order Engine, share; ledger and delivery are taken alone.
package transfer
