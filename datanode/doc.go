// Package datanode is the storage role of one host: a process that runs one or more
// stores, each with its own directory, its own UUID and its own port.
//
//	            one process
//	┌─ follower ── catalog view ─────────────┬───────────────┐
//	├─ heartbeat ── metastore                │               │
//	│  store 1 (:8081)                       ▼               │
//	│   serve.Endpoint ─ Router ─┬─ serve.Reader ──┐         │
//	│    (h3, h2, h1.1)          ├─ vote.Voter ────┤         │ same for store 2 (:8082)
//	│                            └─ status, ops    ▼         │
//	│   converge.Loop ───────────────────► superblock.Store  │
//	└────────────────────────────────────────────────────────┘
//
// Words: see packages serve (touched block, first byte), catalog (applied, synced),
// vote (pinned), converge (must hold, unnamed, grace).
//
// Invariants:
//   - reads need nothing but the store's own disk; they go on through any outage of
//     the metastore and of the peers;
//   - a store votes only after the catalog has told it what it is known to have
//     acknowledged (the echo), and after the view has caught up;
//   - a write or fsync error ends the process: see Config.Fatal.
//
// docs/datanode.md tells the life of a chunk inside the node.
package datanode
