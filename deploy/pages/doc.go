// Package pages serves V-Stack's pages on this machine alone, with the rights of a
// client bundle: a browser needs no certificate and shows no warning.
//
//	browser ── http://127.0.0.1:8890 ──► console ─┬─ pages, /play, /v1: a gateway in this process
//	            Host, Origin, token               ├─ changes: catalog, stores, uploaders, under the bundle
//	                                              ├─ /files, /up/N: uploader N, under the bundle's certificate
//	                                              └─ /v1/jobs: all uploaders' jobs as one list
//
// It speaks no TLS, so it listens on loopback only. Three things keep strangers out: the
// Host header must name the listener (a page of another site that has its name resolve to
// 127.0.0.1 names itself), an Origin must be the console's own, and everything but the
// pages and the films wants the token that the printed link carries in its fragment, which
// no server ever sees; the page trades it for a cookie.
package pages
