// Package membership changes who is a member of the metadata cluster.
//
// Words: a member joins while it has no vote yet; it is healthy while it answers and
// has heard of its leader a moment ago.
//
// A new member gets its vote only once it has caught up, so that adding one never puts
// a majority out of reach that was there before. Where members serve is in Raft's own
// configuration, which each of them has.
//
// Invariants: the last voter stays; a member whose directory is not the one that was
// added is never taken for it; without force, nobody is removed without whom those that
// answer are no majority.
package membership
