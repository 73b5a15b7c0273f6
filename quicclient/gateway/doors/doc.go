// Package doors knows where web pages read from the stores themselves: the address of each
// store's WebTransport listener, and the hashes of the certificates that it shows.
//
//	store ── heartbeat ──► leader's memory ── Nodes ──► List ──► PlayerData, policy of the pages
//
// A door that a store tells is as far as possible used after it fell silent: an answer that
// does not come changes nothing, and a store that is down has no door. What is no plain address
// is left out, as addresses become part of a Content-Security-Policy.
package doors
