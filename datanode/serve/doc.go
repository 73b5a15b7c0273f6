// Package serve is one store's door to the network: the listener that speaks HTTP/3
// on UDP and HTTP/2 and HTTP/1.1 on TCP at one port, its limits, and the reading of
// chunks.
//
//	UDP :port ── QUIC ── HTTP/3 ──┐
//	                              ├─ Gate (requests in flight) ─ handler
//	TCP :port ── TLS ── h2, h1.1 ─┘        │
//	     Alt-Svc: h3=":port"               └─ Reader: GET, HEAD /v1/chunks/{sha256}
//
// Words: a *touched block* is a 64 KiB block of a chunk that a requested range
// overlaps. *First byte* is the moment the first body byte could leave: after every
// touched block was read and its checksum matched.
//
// Invariants:
//   - no byte of a body leaves before all of its touched blocks passed their checksums,
//     so a damaged copy is a clean error and never wrong bytes;
//   - memory for bodies is a budget (Buffers) that is shared among clients, and requests wait
//     for it in turn; what stands still gives it back while others wait;
//   - connections, requests, header sizes and every wait are bounded.
package serve
