// Package screening plays films from real hosts: processes of a lab in network namespaces, behind
// links that delay, limit and lose packets of UDP and TCP alike. The links are those that a contest
// in virtual time draws from the same seed.
//
//	Options ─► lab, film ─► for each scenario, seed and policy in turn: links, playback ─► Outcome
//	Outcomes ─► verdict.Results (with the oracle's)
//
// A pair is two policies under the same seed, played one after the other, the first of them another
// one each time.
//
// Invariants: every playback has connections of its own and no certificate; what was played while a
// link kept bad time is played again, and left out if it keeps bad time thrice; the hosts' own
// traffic passes the same links, as in life.
package screening
