// Package sums compares what the members of a metadata cluster have as their catalog while
// they work: at one index they have one checksum.
//
//	each member ── index, checksum, every 20 ms ──► who said something of that index first?
//
// What it finds goes to the report's counters: checksums that were equal, and splits.
package sums
