package disk

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// Keys that the library uses, and the one that stands for two of them here.
const (
	KeyVoteTerm = "LastVoteTerm"
	KeyVoteCand = "LastVoteCand"
	KeyVote     = "VstackVote" // term, 8 bytes big-endian, then the candidate
)

// Votes makes a vote one durable write: the library sets the term of a vote and then
// its candidate, and a crash between the two leaves a vote for the wrong candidate.
// The term is held back until the candidate comes; it is no vote before that.
type Votes struct {
	raft.StableStore

	mu      sync.Mutex
	pending []byte // term that waits for its candidate
}

func (v *Votes) SetUint64(key []byte, val uint64) error {
	if string(key) != KeyVoteTerm {
		return v.StableStore.SetUint64(key, val)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pending = binary.BigEndian.AppendUint64(nil, val)
	return nil
}

func (v *Votes) Set(key, val []byte) error {
	if string(key) != KeyVoteCand {
		return v.StableStore.Set(key, val)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.pending == nil {
		return fmt.Errorf("store a vote: %w: candidate without a term", vstack.ErrInternal)
	}
	vote := append(v.pending, val...)
	v.pending = nil // even on an error: it was not cast
	return v.StableStore.Set([]byte(KeyVote), vote)
}

func (v *Votes) GetUint64(key []byte) (uint64, error) {
	if string(key) != KeyVoteTerm {
		return v.StableStore.GetUint64(key)
	}
	vote, err := v.vote()
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(vote), nil
}

func (v *Votes) Get(key []byte) ([]byte, error) {
	if string(key) != KeyVoteCand {
		return v.StableStore.Get(key)
	}
	vote, err := v.vote()
	if err != nil {
		return nil, err
	}
	return vote[8:], nil
}

// vote reads the durable vote; the store's own "not found" when there is none.
func (v *Votes) vote() ([]byte, error) {
	vote, err := v.StableStore.Get([]byte(KeyVote))
	if err != nil {
		return nil, err
	}
	if len(vote) < 8 {
		return nil, fmt.Errorf("read the vote: %w: %d bytes", vstack.ErrCorrupt, len(vote))
	}
	return vote, nil
}
