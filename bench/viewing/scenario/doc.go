// Package scenario draws the links over which films are compared: of three hosts and of their
// viewer, anew for each seed. A contest in virtual time and a screening from real hosts draw the
// same links from the same seed.
//
//	Scenario, seed, traces ─► Layout ─► a virtual network, or plans of real links
//
// Invariant: a Layout depends on nothing but the scenario, the seed and the traces.
package scenario
