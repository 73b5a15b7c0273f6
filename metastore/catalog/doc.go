// Package catalog is the replicated state of the metastore: the finite state machine
// that Raft drives, and consistent reads of it.
//
// Words: a command is one Raft log entry; a row is one object of a table (package rows) and is
// never changed in place; a view is a read transaction, a snapshot of all tables at one
// applied index that costs nothing and blocks nobody.
//
//	table      key          also by
//	videos     VideoID      creation index (listings), change index (feed)
//	uploads    UploadID     creation index, change index (feed), source hash
//	views      VideoID
//	stores     StoreID
//	requests   request id   index (eviction)
//	groups     one row: the targets of every placement group
//	meta       one row: counters, and the checksum of all the rest
//
// Invariants:
//
//   - The same commands give the same state and the same checksum on every member,
//     whether applied one by one, in batches, or restored from a snapshot on the way.
//     Apply reads no clock, no randomness and no map order; times come in the command.
//   - A command that is refused changes nothing but the table of requests.
//   - A command of unknown type or version, or that does not decode, halts the member:
//     going on without it would fork the catalog.
//   - Incarnations only grow, over all uploads. VideoIDs and UploadIDs are never reused.
//   - A manifest never changes once published. It is in the store of package blobs and not in
//     its row; a snapshot on a member's own disk names it from vstack.LevelManifests on, and
//     everywhere else holds it (package form).
//
// A snapshot is a header, framed rows and a trailer; little-endian:
//
//	0      8  "VSTKCAT" and the version byte 1
//	8      …  frames:  4  length of the payload
//	                   4  CRC32C of kind and payload
//	                   1  kind ('m' meta, 'g' groups, 's' store, 'v' video,
//	                      'p' published video, 'd' the same without its manifest,
//	                      'u' upload, 'w' views, 'n' event, 'r' request, 'e' end)
//	                   …  payload: JSON; with 'p' binary references behind it (package
//	                      published); with 'd' before it 32 bytes, the manifest's digest,
//	                      and a u32, the size of its blob
//
// The end frame carries the number of frames before it and the checksum that the
// restored catalog must have.
package catalog
