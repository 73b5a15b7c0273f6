// Package body brings chunks to viewers: each is fetched and verified once, however many wait for
// it, and is sent to each at the viewer's own pace.
//
//	stores ── Fetcher ──► Store: cache, flights ──┬─► Body ── steps of 64 KiB ──► viewer
//	                                              └─► Body ──► viewer
//
// Words: a run is a range of one chunk that a body is made of; a flight is one fetch and whoever
// waits for it; a step is what is written at once.
//
// Invariants: chunks are shared and never changed; a flight ends when nobody waits for it; what is
// fetched and not cached yet is bounded; a body holds no chunk while its viewer takes nothing for
// 5 s, and is cut when it takes nothing for the given time.
package body
