package wire

import (
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// StoreStatus answers GET /v1/store: one store as it sees itself now.
type StoreStatus struct {
	Host        vstack.HostID `json:"host"`
	Report      StoreReport   `json:"report"`  // what the next heartbeat would carry
	Live        int64         `json:"live"`    // bytes of chunks and their records
	Garbage     int64         `json:"garbage"` // bytes that compaction would free
	Free        int64         `json:"free"`    // bytes that may still be written
	Superblocks int           `json:"superblocks"`
	// Fragments counts those of chunks, FragmentBytes are theirs.
	Fragments     int64       `json:"fragments,omitzero"`
	FragmentBytes int64       `json:"fragment_bytes,omitzero"`
	Votes         bool        `json:"votes"`            // it would vote now
	Reason        string      `json:"reason,omitempty"` // why it does not
	InFlight      int64       `json:"in_flight"`        // requests
	Scrub         ScrubStatus `json:"scrub"`
}

// ScrubStatus is the last or the running pass over every stored byte.
type ScrubStatus struct {
	Running bool  `json:"running"`
	Passes  int64 `json:"passes"` // finished since start
	// Passed is when the last pass reached its end; the store keeps it through restarts.
	Passed  time.Time `json:"passed,omitzero"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Chunks  int64     `json:"chunks"` // read by the last finished pass
	Bytes   int64     `json:"bytes"`  // read by the last finished pass
	Corrupt int64     `json:"corrupt"`
	// Unproven are fragments that the last pass could not hold to their chunks, since too few
	// others were found.
	Unproven int64  `json:"unproven,omitzero"`
	Error    string `json:"error,omitempty"`
	// Rate is the bound in bytes a second of the running or next pass.
	Rate int64 `json:"rate"`
}

// ScrubRequest is the body of POST /v1/scrub; an empty body takes the defaults.
type ScrubRequest struct {
	Rate int64 `json:"rate,omitempty"` // bytes a second; 0 is the store's configured rate
}

// InventoryItem is one stored chunk, or a fragment of one.
type InventoryItem struct {
	Chunk vstack.ChunkID `json:"chunk"`
	Piece vstack.Piece   `json:"piece,omitzero"` // K+M/I of a fragment; absent for a chunk
	Size  uint32         `json:"size"`           // bytes of the whole chunk
	LSN   vstack.LSN     `json:"lsn"`
}

// InventoryPage answers GET /v1/inventory?cursor=, ordered by chunk. All pieces of a chunk
// are on one page.
type InventoryPage = List[InventoryItem]
