// Package quicclient reads chunks from the stores that the live signals favour, and
// has chunks chosen by their acceptors.
//
//	Play ──► player: buffer in media time, ≤ 4 chunks in flight
//	            │
//	Fetch ──► scheduler ── View ──► policy.Policy ── Decision ──┐
//	            │  ▲                                            │
//	            │  └── signals (ConnectionStats, Server-Timing, own timing)
//	            ▼                                               ▼
//	        attempts: GET over HTTP/3, or HTTP/1.1 when UDP is blocked
//
//	Commit ──► chunkpaxos.Proposer ── effects ──► PUT ×3 in parallel over mutual TLS
//
// Words: a peer is a store as this client is connected to it; an attempt is one
// request for one piece of a chunk at one peer; a straggler is a PUT that still runs
// when its chunk is already chosen.
//
// Invariants: no byte reaches a caller before the whole chunk hashed to its name; at
// most InFlight chunks of a playback are in memory beside those that the sink holds;
// every goroutine and connection ends before Close returns; dialling, waiting, retrying
// and remembering are all bounded by a field of Config or a constant beside its use.
//
// The life of a read and of a write, and how to add a policy, are in
// docs/quicclient.md.
package quicclient
