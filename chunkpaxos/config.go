package chunkpaxos

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// AcceptorConfig configures an Acceptor. Zero bounds take their defaults.
type AcceptorConfig struct {
	// Store is the id of the store whose log keeps the votes. Required.
	Store vstack.StoreID
	// LSN is the last durable LSN that the store's log recovered.
	LSN vstack.LSN
	// MaxRequests bounds the unanswered requests, in flight, queued and waiting
	// together. Default 4,096.
	MaxRequests int
	// MaxQueue bounds the requests that wait for one busy slot. Default 16.
	MaxQueue int
	// MaxSlots bounds the slots of unpublished uploads in memory, at about 250 bytes
	// each. Default 4,194,304: 8 TiB of video under way.
	MaxSlots int
	// CatchUp is how long a request waits for the catalog to reach its upload's
	// index. Default 2 s.
	CatchUp time.Duration
}

// Validate checks the configuration and fills in the defaults.
func (c *AcceptorConfig) Validate() error {
	if c.Store.IsZero() {
		return fmt.Errorf("acceptor: %w: no store id", vstack.ErrInvalid)
	}
	setDefault(&c.MaxRequests, 4096)
	setDefault(&c.MaxQueue, 16)
	setDefault(&c.MaxSlots, 4<<20)
	setDefault(&c.CatchUp, 2*time.Second)
	return nil
}

// ProposerConfig configures a Proposer: one attempt to have Value chosen for Slot.
// Zero bounds take their defaults.
type ProposerConfig struct {
	Slot      vstack.Slot
	Epoch     vstack.Epoch     // of the slot's placement group
	Acceptors []vstack.StoreID // of the group at Epoch; 1 to vstack.Acceptors
	// Upload fills the slot: its ID, Video, Incarnation, Owner and Index are used.
	Upload vstack.Upload
	Value  vstack.Value
	// Proposer makes this proposer's ballots unique. Default Upload.Owner.
	Proposer vstack.ProposerID
	// Fast allows round 0. It is true only for the upload's owner, and only in its
	// first incarnation or where a Survey says Fast(Slot, Epoch).
	Fast bool
	// After is the highest ballot that this process used for this slot before, as
	// Proposer.Used reported it, whatever became of it. Zero: none.
	After vstack.Ballot
	// Rand jitters the back-off. Required.
	Rand *rand.Rand
	// Deadline of one phase: what has not answered by then counts as silent. It covers
	// the transfer of the bytes. Default 5 s.
	PhaseTimeout time.Duration
	// AwaitLast is how long a chosen value waits for the last acceptor. Default 50 ms.
	AwaitLast time.Duration
	// BackoffMin and BackoffMax bound the pause before another classic attempt, which
	// doubles from one to the other. Defaults 10 ms and 1 s.
	BackoffMin, BackoffMax time.Duration
	// MaxAttempts bounds the attempts, the fast one included. Default 16.
	MaxAttempts int
}

// Validate checks the configuration and fills in the defaults.
func (c *ProposerConfig) Validate() error {
	switch {
	case len(c.Acceptors) == 0 || len(c.Acceptors) > vstack.Acceptors:
		return fmt.Errorf("propose %s: %w: %d acceptors, want 1 to %d", c.Slot, vstack.ErrInvalid, len(c.Acceptors), vstack.Acceptors)
	case c.Rand == nil:
		return fmt.Errorf("propose %s: %w: no Rand", c.Slot, vstack.ErrInvalid)
	case c.Upload.ID.IsZero() || c.Upload.Incarnation == 0:
		return fmt.Errorf("propose %s: %w: no upload", c.Slot, vstack.ErrInvalid)
	case c.Upload.Video != c.Slot.Video:
		return fmt.Errorf("propose %s: %w: upload %s fills video %s", c.Slot, vstack.ErrInvalid, c.Upload.ID, c.Upload.Video)
	case c.Value.Size == 0 || c.Value.Size > vstack.MaxChunkSize || c.Value.Chunk.IsZero():
		return fmt.Errorf("propose %s: %w: value of %d bytes", c.Slot, vstack.ErrInvalid, c.Value.Size)
	}
	if c.Proposer.IsZero() {
		c.Proposer = c.Upload.Owner
	}
	if c.Fast && c.Proposer != c.Upload.Owner {
		return fmt.Errorf("propose %s: %w", c.Slot, vstack.ErrNotOwner)
	}
	setDefault(&c.PhaseTimeout, 5*time.Second)
	setDefault(&c.AwaitLast, 50*time.Millisecond)
	setDefault(&c.BackoffMin, 10*time.Millisecond)
	setDefault(&c.BackoffMax, time.Second)
	setDefault(&c.MaxAttempts, 16)
	return nil
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
