// Package tell tells a gateway how a playback fares, for the page that shows all of them.
//
//	playback ── events ──► Teller ── POST /v1/sessions/{id}, every 2 s ──► a gateway
//
// Invariants: it never delays the playback, and nothing depends on it: a gateway that is
// away is left for the next one, and without any a page lacks a row.
package tell
