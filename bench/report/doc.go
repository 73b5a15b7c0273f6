// Package report is what a benchmark came to: rows of figures, most of them ours beside a
// baseline's in pairs, each held to a bound or told as it is.
//
//	Row (pairs, bound, note) ─► Report ─► table, JSON, one HTML page, comparison of two
//
// A ratio is the median over pairs, with its quartiles and an interval of its mean. Where a
// baseline's figure is 0 there is no ratio; then the difference is told.
//
// Invariant: what is printed is computed from the pairs that the JSON has.
package report
