// Package viewer is the network of one viewer in this process, whose datagrams to and from
// hosts pass emulated links: no privileges, no namespaces, no relays.
//
//	client ─ socket ─▶ the viewer's link ─▶ the host's link ─▶ the kernel ─▶ host
//	client ◀─ inbox ◀─ the viewer's link ◀─ the host's link ◀─ the kernel ◀─ host
//
// Stores of one host share its link, both ways, and all of them share the viewer's. Who is none of
// these hosts is reached without a link. Connections (TCP) to hosts are refused: bytes that were
// acknowledged cannot be lost any more, so only QUIC goes over such links.
package viewer
