// Package gateway serves films to stock players: browsers, VLC, television sets, ffmpeg.
//
//	player ── HLS, DASH, MP4 over HTTP ──► gateway ── chunks over HTTP/3 ──► stores
//	                                          │
//	   routes ─► films ─► playlist, files     └─ body: one fetch, many readers, each at
//	                                             the viewer's own pace
//
// Words: a film is a manifest made ready for players (package playlist); a viewer is the
// address that a request comes from, an IPv4 address or an IPv6 /64.
//
// Invariants: no byte leaves that was not part of a chunk that hashed to its name; a body
// that cannot be finished is reset, never ended as if whole; memory is bounded by the
// cache, by the chunks being fetched and by one step of 64 KiB a request, whatever the
// number of viewers; a viewer that takes no byte for 30 s is cut.
package gateway
