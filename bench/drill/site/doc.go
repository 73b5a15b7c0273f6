// Package site says what a drill can do to the hosts of a cluster, whosever they are: those of a lab
// of its own, or of a cluster that somebody else runs (package given).
//
// Words: a site is the hosts with what the faults need; a host is what a drill does something to.
//
// Invariants: what was done to a host is taken back by Mend at the latest; nothing of a drill is
// left after Close.
package site
