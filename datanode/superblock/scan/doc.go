// Package scan walks the record headers of one superblock file, as far as they are
// right, and finds where they go on behind damage; of a sealed file it reads the footer, which
// repeats them. It says what is there, not what it
// means: whether damage is a torn tail or rot depends on other files.
//
// Invariants: it reads each header once and data only while it searches; its memory is
// bounded by format.MaxEntries records; what it returns has passed its CRC and carries
// the file's salt.
package scan
