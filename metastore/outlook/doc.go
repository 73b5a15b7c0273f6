// Package outlook is what a member's metrics say of the cluster as a whole: its feature level,
// its stores, for how many groups enough acceptors are up to take writes, how far what stores
// hold is behind the catalog, how long videos have been between two classes, and when the
// catalog was last saved.
//
// Words: figures of the leader are absent from members that do not lead, so that a sum or a
// maximum over all members is the leader's word.
//
// Invariants: everything is read when it is asked for, from the catalog and from what stores
// last reported; nothing is kept but the time of the last backup, in a file of the member's
// directory, so that a restart does not forget it.
package outlook
