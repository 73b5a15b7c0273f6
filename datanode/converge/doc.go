// Package converge makes one store hold what the catalog says it should: it fetches
// what is missing, heals what is damaged, and drops what nothing names any more.
// Migration, repair, rebalancing, healing after a scrub and deletion are this one loop.
//
//	catalog view ──► desire ──► missing ──┐
//	reads, scrub ──────────► corrupt ─────┼─► fetch from a peer, verify, append
//	inventory ─────────────► unnamed ─────┴─► after a grace period: drop, compact
//
// Words: a store *must hold* what desire says for its target index and the video's
// storage class. A chunk is *unnamed* when no living video wants it here and no live
// vote names it. The *grace* period is how long a chunk stays unnamed before it goes:
// readers may still use an older manifest.
//
// Invariants: what is appended was hashed to its name by this process; nothing is
// dropped before the catalog was read to its end; background bytes stay within a
// budget, and wait while the store's own reads are slow.
package converge
