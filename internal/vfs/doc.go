// Package vfs is the file system that durable code writes through: the real one, one
// in memory that can crash, and one that injects errors.
//
// Words. A write is durable once Datasync (or Sync) of its file returned nil; a
// created, renamed or removed name is durable once SyncDir of its directory did.
// Nothing else makes anything durable, and the crashable file system holds its user
// to that: it tracks content by sector of 512 bytes and names by directory.
//
//	write A │ datasync │ write B write C │ crash
//	   └────────┴─ kept      └─ each sector of B and C, on its own: kept, lost or torn
//
// Invariants:
//   - Durable is: write, sync the file, sync the directory.
//   - An error of Datasync or Sync leaves the content unknown. It is never retried.
//   - ReadAt and WriteAt of one File may run concurrently; neither moves a position.
//   - OS and Crash pass the same contract test.
package vfs
