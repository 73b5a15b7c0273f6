// Package given is a cluster that somebody else runs, as the site of a drill. Its hosts are worked by
// the operator's commands (hostcmd), and what became of them is asked at their endpoints.
//
//	Kill ── command ── ended ── the endpoint refuses, or tells of another start ── gone
//
// Words: a run is the time from one start of a host's process to its end; it is known by that start.
//
// Invariants: nothing is done before the cluster was found healthy, its hosts to be those of the
// file, and Confirm has agreed; a command that ended without an error is not believed alone; what is
// owed to hosts is done by Mend; of what the loads made nothing is left but tombstones.
package given
