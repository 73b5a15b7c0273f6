// Package history lets several uploaders fill the same slots of a real cluster while
// hosts, links and uploaders fail, records what each of them saw, and judges it.
//
//	Run ── lab: three host processes ◄── faults: kill -9, SIGSTOP, all at random
//	 │            ▲ ▲ ▲
//	 │          links, one per client and store; cut both ways or one way
//	 │            │ │ │
//	 └─ lane ─ client processes: owner · contender · contender · resumed owner
//	              │
//	              ▼  one line at the call, one at the return
//	         []Op ── Check: is each slot a write-once register? ── read back every chunk
//
// Words: a history is what all clients saw of one fresh upload's slots during a round of
// faults, until the slots were settled; an operation is one Propose (a Commit) or one
// Read (the learn rule over Queries, or what Chosen told) of one slot by one client; a
// lane is a set of client processes that live through one history after the other.
//
// What counts as seen. A client writes the line of the call before it does anything, and
// that of the return when it knows the outcome; both carry the machine's monotonic
// clock, so that the order holds between processes. An operation whose client was
// killed, or which ended with an error, has an unknown outcome: it may take effect at
// any later time, or never. A Read that found no majority tells nothing and is no
// operation.
//
// Invariants: a client process ends with its standard input, so none outlives Run; every
// process, link and directory is gone when Run returns.
package history
