package wire

import "github.com/vstack/vstack/internal/vstack"

// LevelReport answers GET /v1/raft/level: the cluster's feature level, and who could take
// part in which.
type LevelReport struct {
	Level   vstack.Level    `json:"level"`   // of the cluster
	Newest  vstack.Level    `json:"newest"`  // that the answering program knows
	Allowed vstack.Level    `json:"allowed"` // that the cluster may be raised to now
	Members []ReportedLevel `json:"members"`
	Stores  []ReportedLevel `json:"stores"`
}

// ReportedLevel is the newest feature level that a member's or a store's program knows.
type ReportedLevel struct {
	ID    string        `json:"id"`
	Host  vstack.HostID `json:"host"`
	Level vstack.Level  `json:"level"` // vstack.LevelFirst where nothing is said
	// Silent says that it did not answer, or has not reported to this leader yet.
	Silent bool `json:"silent,omitzero"`
	// Lost is a store that is down: it does not hold up a raise, and is refused if it
	// returns with an older program.
	Lost bool `json:"lost,omitzero"`
}

// RaiseLevelRequest is the body of POST /v1/raft/level. It cannot be undone.
type RaiseLevelRequest struct {
	Level vstack.Level `json:"level"`
}
