// Package shape is what a link does to the packets of one direction, as arithmetic: no
// clock, no socket, no goroutine. Whoever has packets and a time, real or virtual, puts
// packets in and takes out those that are due.
//
//	          chance of loss        rate                 delay ± jitter
//	Push ───────────┬────────▶ queue ─────▶ wire ─────────────────────────▶ Pop
//	                ▼            │ full                └ held back: reordered
//	              lost           ▼
//	                          dropped
//
// The queue is drained at the rate, to the nanosecond, whenever somebody looks: a caller
// who comes late finds each packet with the moment at which it was due.
//
// Words:
//
//	Shape    delay, jitter, loss, rate, queue and reordering at one time
//	Plan     shapes over time, one Phase after the other, once or round and round
//	Profile  a Plan with a name
//	Trace    measured throughput over time, which makes a Plan
//
// Sizes count whole IP packets. Order is kept but for packets that are held back on
// purpose: jitter wanders and does not toss packets about, because a receiver of QUIC or
// TCP takes reordering for loss.
package shape
