// Package contest plays films through the real client from real stores over a virtual
// network, under one policy after the other, and says how each fared.
//
//	scenario.Scenario (links, clients, film) × Policy × bit rate × seed ─► Play ─► viewing.Outcome
//	Outcomes, paired by seed ─► intervals, targets ─► table
//
// A pair is two policies under the same seed: the same film, the same losses of a flow, the
// same traces. The oracle of a scenario is arithmetic: what a player would see that uses
// all of its links from the first moment on, without losses, headers or estimates.
//
// Words: lateness is by how much a fragment came after it was due; extra is what came
// twice; wire is what the hosts' links carried beyond the film's bytes, headers included.
//
// Invariants: everything runs in virtual time inside testing/synctest, so only tests can
// run it; the table is computed from outcomes alone, and a scenario in which round robin
// misses nothing counts for nothing.
package contest
