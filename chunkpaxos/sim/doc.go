// Package sim plays ChunkPaxos for people: a script of faults in, every step out.
//
//	Script ──► world: a virtual clock and network ──► Trace: steps, messages, what is on disk
//	              │ the very Acceptor and Proposer that stores and clients run
//
// Words: a script says which processes propose and what breaks when; a trace is what
// happened then, step by step, with the rule of docs/chunkpaxos.md that explains each. The
// same script gives the same trace.
//
// Invariants: nothing here decides anything about the protocol: it carries messages, makes
// appends durable and lets time pass. A trace is bounded, whatever its script. That no two
// values are chosen for one slot is checked on every trace.
//
// The simulator of chunkpaxos' own tests is another one: it draws schedules at random,
// breaks the machines on purpose and knows epochs; this one is for reading.
package sim
