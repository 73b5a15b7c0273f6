// Package sessions remembers what players tell of themselves, for people to look at.
//
//	vstack video play, our page ── POST /v1/sessions/{id} ──► Tell ─┐
//	stock players ──── CMCD beside each request of a film ──► Hear ─┴─► Summary, Get
//
// Words: a session is one playback by one player; it is playing until it says that it has
// ended, or nothing for Quiet.
//
// Invariants: at most MaxSessions are kept, each with a history of a fixed length, whatever
// strangers send; the one that was silent for the longest goes first. What a player says
// is shown, never acted upon.
package sessions
