// Package frame is a stream of rows that are held to their checksums: what a snapshot of the
// catalog is made of.
//
//	0  4  length of the payload, little-endian
//	4  4  CRC32C of kind and payload
//	8  1  kind
//	9  …  payload
package frame
