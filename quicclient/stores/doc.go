// Package stores is a client's connections to stores and what it knows of them: one
// QUIC connection a store on one shared UDP socket, a pool of HTTP/1.1 connections over
// TLS beside it, the placement map, and each store's signals.
//
// Words: a Peer is a store as this client is connected to it; a lane is its QUIC
// connection, dialled when someone needs it and dialled again, after a pause, when it
// broke; a meter keeps the signals that come from the client's own timing and from the
// store's Server-Timing.
//
// Invariants: nothing is dialled before it is needed; a dial, a pause between dials and
// the age of a map in use are bounded; every goroutine started by Spawn ends before
// Close returns. Locks are taken in the order Places, lane, Pool, and none is held while
// waiting for the network.
package stores
