// Package policy decides from which stores a chunk is read: which byte ranges it is
// cut into, which store gets which range, when a late range is asked of a second
// store, and when to stop waiting for the first.
//
// A Policy is a function from what is known (a View) to what to do (a Decision). It
// does no I/O, reads no clock and starts no goroutine, so that a simulator can run it
// in virtual time and a test can ask it about any situation. quicclient's scheduler is
// the runtime: it asks at every event (a piece arrived, an attempt ended or failed) and
// at the moment that the last Decision named, and carries the actions out.
//
//	signals of stores ─┐
//	pieces, attempts  ─┼─► View ─► Decide ─► Start(piece, store) … Cancel … Wake
//	deadlines, spend  ─┘
//
// Words: a piece is one byte range of one chunk that nobody has delivered yet; an
// attempt is one request for a piece at one store; a hedge is a second attempt beside
// one that still runs; the first attempt to deliver wins and the runtime cancels the
// others.
//
// Invariants that the runtime keeps for every policy: a store is asked for a piece at
// most once a round; an action that names an unknown piece or a store that does not
// hold it is ignored; a piece whose holders have all failed is given up, whatever the
// policy says; bytes are verified before anyone sees them.
package policy
