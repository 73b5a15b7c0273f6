// Package live tells pages what changes, over one stream of server-sent events a tab.
//
//	source (films, cluster) ── asked every Every while somebody listens ──► topic
//	                                                                        │ changed?
//	GET /v1/events?topics=films,cluster ◄── event: films, data: {…} ◄───────┘
//
// A topic is a JSON value. Whoever subscribes gets its present value at once, then each
// new one; a reader that is slow misses values in between, never the last one. Nothing is
// asked while nobody listens.
package live
