// Package tap tells which messages of ChunkPaxos come to a store while somebody listens, for
// people to look at.
//
// A *listener* asks again and again; whoever has asked within the last ten seconds listens. Then
// a *sample* is kept: of so many slots one, the same ones at every store, so that what is heard of
// a slot is heard whole. Without a listener a message costs one read of a number in memory.
//
// Invariants:
//   - nothing waits for a listener: what is not asked for in time is forgotten, and counted;
//   - what is kept is bounded, whatever comes.
package tap
