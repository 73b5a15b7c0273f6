// Package playback plays a video the way a person would watch it, without a screen: it
// asks for chunks in playing order, hands them to a sink, keeps a buffer in media time,
// and reports startup, stalls and latencies.
//
// Words: the position is how far a viewer has seen; the window is the media time ahead
// of it for which chunks are asked for; a stall is a moment at which the position has
// reached the end of what some track has delivered without a gap.
//
// Where chunks come from is the caller's business (a Fetch function), as is the clock,
// so the model runs in virtual time in tests and simulations.
//
// Invariants: at most InFlight chunks are asked for and not yet handed to the sink;
// each track's chunks reach the sink in order, without a gap, once; Run returns after
// every fetch that it started has.
package playback
