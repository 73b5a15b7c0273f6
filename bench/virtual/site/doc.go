// Package site is a cluster's data plane on a virtual network: real endpoints and readers
// of datanode/serve over chunks in memory, a placement map, certificates, and the host on
// which clients run. It is made and closed inside a bubble of testing/synctest.
//
//	hosts ─ stores (serve.Endpoint, serve.Reader) ─┐
//	placement: one acceptor a host, by turns        ├─ virtual.Net ─ client's host
//	disk: how long a read takes                    ─┘
//
// Invariants: a chunk lies at the acceptors of its slot and nowhere else; Close ends every
// goroutine that Open or a client of the site started.
package site
