// Package chunk reads the record of one chunk: its header, its data block by block, its
// leaf table.
//
// Invariants: no byte is returned whose block has not passed its CRC32C, or of a sealed record
// its tag; what does not is vstack.ErrCorrupt, and so is what cannot be read.
package chunk
