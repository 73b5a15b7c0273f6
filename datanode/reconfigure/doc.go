// Package reconfigure runs the epoch changes that the catalog asks this host to drive:
// it watches the followed placement map, and for each group whose Next names one of
// this host's stores as its driver it runs one epochchange.Reconfigurer.
//
//	placement map ──► Driver ── claim in the driver's log, durable
//	                    │  ──► change: Seal, Install ──► stores, over mutual TLS
//	                    │                 │ a majority has the install
//	                    │  ◄── Activate ──┴── all that wait, in one request ──► Raft
//	                    └── the map says that the attempt is over: stop
//
// Words: an attempt is *claimed* before its first message leaves. It is *in force* once
// the catalog activated it, *over* when the map tells of another one in its place.
//
// Invariants:
//   - no attempt is driven twice, not by a process that starts again either: two runs
//     could install two values under one ballot. A driver that dies leaves its attempt,
//     and the catalog issues the next one;
//   - at most AtOnce attempts are between claim and activation; what comes after, the
//     install on the last acceptor, stops nobody's writes;
//   - an activation whose fate is unknown is asked for again until it is known, whoever
//     leads the metastore by then; the map that tells of it is as good as an answer.
package reconfigure
