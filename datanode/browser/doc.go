// Package browser is a store's door for web pages: WebTransport at a UDP port of its own,
// which an unmodified browser enters although it knows nothing of the cluster's authority.
// The page tells the browser the SHA-256 of the door's certificate (serverCertificateHashes);
// it has that from whoever served the page.
//
//	UDP :port+1000 ── QUIC ── HTTP/3 ── CONNECT /v1/read ── session
//	                                      │ bidirectional stream ── Request ─► serve.Reader
//	                                      │            Head, leaf table, body, Tail ◄─┘
//	                                      └ datagram, each second ── Signals
//
// The port is not the store's own: browsers and other clients say the same ALPN and, to an
// IP address, no name, so that one port could not choose between two certificates.
//
// Words: a *session* is one page's WebTransport session; a QUIC connection carries one. A
// *read* is a stream with one request and its answer. All numbers are little-endian:
//
//	Request   0 "VSR1"  4 flags  5 k  6 m  7 i  8 urgency  9 zero×3
//	(52 B)   12 offset u32  16 length u32, 0 is all the rest  20 chunk id, 32 B
//	Head      0 "VSA1"  4 status u16  6 zero×2  8 body u32  12 size of the whole u32
//	(56 B)   16 bytes of leaf table u32  20 retry after, ms, u32  24 Signals
//	Tail      0 "VSE1"  4 Signals
//	(36 B)
//	Signals   0 rtt µs  4 cwnd  8 sent  12 lost  16 busy  20 disk µs  24 decode µs  28 zero
//	(32 B)      each u32; in a Head sent and lost count packets of the connection since the
//	            Head before, in a Tail those during this answer, in a datagram since the last
//
// Flags of a Request: 1 wants the leaf table, 2 wants one that is made of the bytes now, 4 has
// the store join no fragments. k, m and i name a fragment; all zero is the chunk. The body of
// an answer of status 400 or more is a problem (RFC 9457). A Tail follows a whole body only: an
// answer that breaks is reset.
//
// Invariants: a read passes the same gate, buffers and checks as one over HTTP/3, and as
// serve.Reader answers both, it is the same answer; connections, sessions, reads in flight
// and every wait are bounded; a certificate lives for 13 days, of which it serves 7, so that
// a page learns of the next one a day before that is shown (browsers take at most 14 days).
package browser
