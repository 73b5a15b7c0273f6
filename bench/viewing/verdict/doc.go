// Package verdict tables the outcomes of films under several policies and holds them to what the
// design asks of the smart client, and to an oracle.
//
//	Results (by scenario, policy, bit rate and buffer; a list by seed) ─► Print, Targets
//
// The oracle is arithmetic: what a player would see that uses all of a scenario's links from the
// first moment on, without losses, headers or estimates.
//
// Invariant: a table is computed from outcomes alone.
package verdict
