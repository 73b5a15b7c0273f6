// Package network is where the roles of V-Stack open their sockets.
//
// A Network listens for packets, listens for connections and dials them. OS is the
// operating system, and the default wherever a Config has a field Network. Package
// bench/virtual has one made of links with a rate, a queue, delay and loss, in which the
// real client and the real stores run in virtual time.
//
// Invariant: nothing that is part of a running role opens a socket in another way, so
// that a test decides about every byte between two roles.
package network
