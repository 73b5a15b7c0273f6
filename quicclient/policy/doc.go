// Package policy decides which bytes of a chunk are asked of which store, how many at
// once, and what happens to those that are late.
//
// A Policy is a function from what is known (a View) to what to do (a Decision). It does
// no I/O, reads no clock and starts no goroutine, so that a simulator can run it in
// virtual time and a test can ask it about any situation. quicclient/transfer is the
// runtime: it asks at every event, again and again until there is nothing more to do, and
// at the moment that the last Decision named.
//
//	signals of stores ─┐
//	pieces, attempts  ─┼─► View ─► Decide ─► start(from, length) · take(cut) · cancel · eject · wake
//	deadlines, spend  ─┘
//
// Words: a piece is a run of bytes that are still to come, of which either nobody is asked
// or all the attempts in Running are; start asks a store for the head of such a run, or,
// beside attempts that run, for what they have not brought; take has a store bring a
// piece's tail, which its attempts then leave off; a fragment is what a player can show at
// once, and due is when it needs the fragment in which a piece begins.
//
// Each policy is one file that begins with how it decides.
//
// Invariants that the runtime keeps for every policy: an action that makes no sense is
// ignored; bytes that a cut, cancelled or failed attempt brought count; a store that failed
// for a chunk is no holder of its pieces until the next round; a piece whose holders have
// all failed is given up; bytes are verified before anyone sees them.
package policy
