// Package link is a link made worse in user space, in real time: a relay of UDP and TCP
// that needs no privileges, and devices between network namespaces (package tun). What
// they do to packets is package shape's arithmetic.
//
//	client ──▶ front ──┬─ up:   shaper ─ thread ─┬─▶ back ──▶ server
//	           socket ◀┴─ down: thread ─ shaper ─┴── sockets
//
// A Way is one direction: a shaper, and a thread of its own that sleeps until the next
// packet is due, to some microseconds, and sends it. All flows of a direction share its
// rate and its queue.
//
// UDP is read with receive offload and the kernel's time of arrival, and sent with
// segmentation offload: packets that are due at once leave by one call. TCP is relayed as
// bytes, in segments that wait where a packet would have been dropped, because a relay in
// user space cannot lose bytes that the kernel has acknowledged. Its handshake takes a
// round trip of the link, its acknowledgements take nothing. The TUN devices carry IP packets and
// do to TCP what a network does.
//
// A link that is late itself measures nothing: Report refuses when the 95th percentile
// of its own lateness is above MaxLate, or when a socket overran.
package link
