// Package proof holds links to arithmetic: what a sender and a receiver measure over one,
// beside what its shape says.
//
// The link runs in a process of its own, whose processor time a packet is the link's: a
// relay, or TUN devices between two namespaces. Sender and receiver are in this process,
// with sockets of those namespaces.
//
// Invariants: the ends know nothing of the link but the time of sending, which the packets
// carry; nothing is repeated until it fits.
package proof
