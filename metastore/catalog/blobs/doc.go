// Package blobs keeps the manifests of a catalog beside its rows: in a database on the disk of
// a member, or in memory for a catalog that is only read.
//
//	Apply ── Put, Orphan ──► Store ──► pebble: 'b' digest → blob, 'k' digest → its size
//	snapshot ── Sync ─────────┘  └──── Drop, once no snapshot that is kept names it
//
// Words: a blob is a manifest in the binary form of package published, named by the manifest's
// digest (package manifest); an orphan is one that the catalog has named, and does not any more.
// As a manifest names its video, no two videos share a blob, and an orphan is one for ever,
// unless a snapshot of before takes the catalog's place.
//
// Invariants:
//
//   - A blob never changes. To put it again is harmless.
//   - Put syncs nothing: what a crash takes away is in the Raft log. Once Sync has returned,
//     all that was put before it is on the disk, and a snapshot may name it.
//   - There is no log: memory goes to the disk in the order of Put, table by table, so that a
//     crash leaves what was put up to some moment.
//   - Nothing is dropped that a kept snapshot names, or while somebody holds the store.
//   - What cannot be read is marked on the disk, and the process ends: the member is mended as
//     one with a damaged log is, and not started again with less than it had.
package blobs
