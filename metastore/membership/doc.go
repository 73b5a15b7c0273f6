// Package membership changes who is a member of the metadata cluster, and who leads it
// when the leader's disk is slow.
//
// Words: a member joins while it has no vote yet; it is healthy while it answers and
// has heard of its leader a moment ago.
//
// A new member gets its vote only once it has caught up, so that adding one never puts
// a majority out of reach that was there before. Where members serve is in Raft's own
// configuration, which each of them has.
//
// A leader writes each entry before it sends it, so that its disk is in every client's way;
// with a slow one it hands over, if a majority has quick disks, at most once a minute.
//
// A voter that the leader has found dead for three days is removed, if at least three are left
// and each of them is healthy.
//
// Invariants: the last voter stays; a member whose directory is not the one that was
// added is never taken for it; without force, nobody is removed without whom those that
// answer are no majority.
package membership
