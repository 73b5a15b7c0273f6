// Package rows has the objects of the catalog's tables: their fields, keys, checksums and forms in
// a snapshot, and the tables that they are in.
//
//	Row ── Seal ── insert ──► table ──► Get, Each ── of one transaction
//	Meta, the one row of counters: Sum adds all rows' checksums up; Answers has the Requests
//
// Words: a row is never changed in place: who changes it copies it, seals the copy and inserts that.
//
// Invariants: a row's JSON is its form in snapshots, and what is hashed, so that it changes only
// with a feature level; the same row has the same checksum on every member. Nothing here decides
// upon anything: package catalog does.
package rows
