// Package published is how a published video stands in a snapshot: it is the larger part of
// one, and its chunk references are the larger part of it. They go in binary behind its JSON.
//
//	0  4  length n of the JSON, little-endian
//	4  n  JSON of the row, its tracks without chunks
//	   …  manifest.AppendChunks
package published
