// Package transport carries Raft's messages between the members of one cluster, and nobody else's.
//
//	raft ── Transport ─┬─ sends ──────► Streams.Dial ── TLS 1.3, both ways ──► a member
//	                   └─ senders ◄──── Streams, accepted: one transport a sender
//	Ask ◄── HelloProto ──► Config.Hello      for an empty directory: who is there?
//
// Words: genesis names a cluster, and is part of the protocol's name; the roster is who may send; a
// sender is one member that does; hello is what a member says of itself to any host.
//
// Invariants: members of two clusters have no protocol in common; a message is held to the name and
// the instance of who sent it, by its certificate; heartbeats take Raft's main loop; a pipeline that
// is stuck ends; handshakes and connections are bounded, an address having an eighth of the former.
package transport
