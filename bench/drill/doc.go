// Package drill breaks a running cluster on purpose, under load, and measures what its
// clients notice.
//
//	Run ── site: a place, that is a lab of real processes, in namespaces (netns) or on
//	  │    disks of their own (loopdisk) where the fault needs them; or a cluster that was
//	  │    there, whose hosts are given and worked by commands (hostcmd)
//	  │  ── load: meta, upload, play
//	  └─ for each repetition:  fault ─► new leader ─► first write ─► healed
//	                             │            │            │            │
//	                             └ leader_gap ┘            │            │
//	                             ├──── first_write ────────┘            │
//	                             ├──── write_gap: longest silence ──────┤
//	                             └──── heal ────────────────────────────┘
//	report ── timings, counters, verdicts of assertions, timelines
//
// The words: a Drill is a kind of fault with its way back to health; a repetition is one
// run of it; a load is what clients do meanwhile; a place is the hosts with what the
// fault needs; a host is what a drill does something to, without knowing whose it is.
//
// Invariants: figures come from the clients' side only; a repetition that did not heal
// ends the drill with an error; every process, load, namespace, mount and directory is
// gone when Run returns, unless the directory was named, and what a drill left that was
// killed is removed by the next; given hosts are mended before Run returns, and of what
// the loads made there nothing is left but tombstones.
package drill
