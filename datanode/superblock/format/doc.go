// Package format is the bytes of a store's files: record headers, file headers,
// footers and the identity file. It encodes and decodes; it does no I/O.
//
//	file    │ header 4 KiB │ group │ group │ … │ footer: entries │ trailer 64 B │
//	group   │ record │ record │ … │ zeros up to a multiple of 4 KiB │
//	record  │ fixed 160 or 192 B │ CRC32C of each block │ pad to 64 │ data │ pad │ leaf table │ pad │
//	entry   │ fixed part of a record │ its offset 8 B │
//
// All integers are little-endian, all checksums CRC32C (Castagnoli). The tables are in
// docs/format/superblock.md, examples in testdata.
//
// Invariants: what Decode accepts has passed its CRC and carries the file's salt; a
// decoder never reads or allocates beyond what it was given, whatever the bytes.
package format
