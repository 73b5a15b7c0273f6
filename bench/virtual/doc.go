// Package virtual is a network made of links, for use inside testing/synctest: the real
// client and the real stores talk over it in virtual time, so that a film of 40 s at
// 50 Mbit/s takes about a second of the machine's.
//
//	socket ─ Host.up ──► Host.down ─ socket
//	          │ rate, queue, loss, down-times     delay, jitter
//	          └ one heap of events and one goroutine for the whole Net
//
// Words: a Host is an address with two Links, up (what it sends) and down (what it
// receives); a Link serialises packets at a rate that may change with time, keeps what
// waits in a queue of bytes and drops what does not fit; a flow is a pair of sockets.
//
// Invariants: packets of a Link leave in the order in which they came; loss is drawn for
// each flow from a generator of its own, made of the Net's seed and the flow's name, so
// that what one flow sends changes nothing about the losses of another; every goroutine
// ends with Close. Connections (Listen, Dial) pass the same links as segments that are
// sent again when they are lost, in a window that begins with ten packets and grows by what is
// taken; a loss does not shrink it.
package virtual
