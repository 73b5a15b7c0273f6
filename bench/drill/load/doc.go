// Package load is what clients do during a drill, and what they make sure of.
//
//	writer ── one write after the other: a counter, and a ledger of 128 registers
//	rivals ── several at once to the same registers, leaving early
//	readers ─ linearizable, one at each member              ┐ histories, in windows ──►
//	review ── all registers listed, around and after faults ┘ linear.Check
//	uploader ─ one file after the other ── read back after healing
//	viewers ── a film, again and again; what plays in a fault must go on after it
//
// The words: a register is a video whose title holds a number; a window is the time
// between two moments at which no operation was under way, and what the next one knows
// of the last is what the register held and which writes may still happen.
//
// Checked at once, without a search: a reading of the counter may be neither below what
// was acknowledged or read before it began, nor above what was tried before it ended,
// and an acknowledged write of the ledger is there when it is listed. A register of
// which one of the writer's own writes ended with an unknown outcome is taken out of
// that use.
//
// Invariants: each number is written to a register once; an error of a write is an
// unknown outcome; loads end with Close, which has everything recorded checked.
package load
