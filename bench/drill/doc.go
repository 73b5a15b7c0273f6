// Package drill breaks a running cluster on purpose, under load, and measures what its
// clients notice.
//
//	Run ── lab of real processes ── loads: meta, upload, play
//	  └─ for each repetition:  fault ─► new leader ─► first write ─► healed
//	                             │            │            │            │
//	                             └ leader_gap ┘            │            │
//	                             ├──── first_write ────────┘            │
//	                             ├──── write_gap: longest silence ──────┤
//	                             └──── heal ────────────────────────────┘
//	Report ── timings (HdrHistogram), counters, verdicts of assertions, timelines
//
// The words: a Drill is a kind of fault with its way back to health; a Repetition is one
// run of it; a load is what clients do meanwhile; a register is a video whose title the
// meta load counts up.
//
// What is checked besides times. One client writes ever higher numbers to registers, one
// write after the other, each number once. Half of its writes go to one register, the
// counter, which readers at every member read linearizably all the time, without hints
// of what they have seen: a reading may be neither below what was acknowledged or read
// before it began, nor above what was tried before it ended. For one writer in sequence
// that is linearizability. The other half goes round a ledger of registers, so that the
// acknowledged writes of the seconds around a fault can all be read back: after the first
// write that follows the fault, and after healing. A register of which a write ended
// with an unknown outcome is taken out of use: that write may still happen.
//
// Invariants: figures come from the clients' side only; a repetition that did not heal
// ends the drill with an error; every process, load and directory is gone when Run
// returns, unless the directory was named.
package drill
