// Package backup is the file that a catalog is saved to and restored from.
//
// Words: a backup is the state of one catalog at one index; its header tells what it is
// without reading the rest.
//
//	0      8  "VSTKBAK" and the version byte 1
//	8      4  length of the header, little-endian
//	12     4  CRC32C of the header
//	16     …  header, JSON
//	       …  the catalog's snapshot, as metastore/catalog describes it
//	end   32  SHA-256 of all before it
//
// Encrypted it is a file of age (age-encryption.org/v1) around all that, which age's own tools
// open as well. One more recipient than were named is in it, whose identity was forgotten once
// the file was read back.
//
// Invariants: a file that is cut off, longer than it should be or changed in any byte is
// refused as BACKUP_INVALID by whoever reads it, before anything is done with it; the
// header says what the snapshot holds.
package backup
