package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// format is the version of the rows. A directory of another is read anew.
const format = 1

// maxEnded is how many uploads that ended are told to the acceptors of a restart, which
// remember as many (chunkpaxos, install.go).
const maxEnded = 4096

// state is how far the view has got. It is written in every batch, beside the rows that it
// speaks of.
type state struct {
	Format  int              `json:"format"`
	Cluster vstack.ClusterID `json:"cluster,omitzero"`
	// Restored is when the catalog last came from a backup, as the view knows.
	Restored time.Time `json:"restored,omitzero"`

	Index uint64 `json:"index"` // how far the view has got
	Whole uint64 `json:"whole"` // the index at which the end of the feed was last reached
	Seen  uint64 `json:"seen"`  // the newest catalog that a page came from

	Known   feed.Groups `json:"known"`
	Reading feed.Groups `json:"reading"` // of Known, and not read to the end yet
	Again   uint64      `json:"again"`   // how far Reading was read

	// Guarded says that a private video was ever seen; it outlives the rows when they are read
	// anew, as does Once, which says that the view was ever whole.
	Guarded bool `json:"guarded,omitzero"`
	Once    bool `json:"once,omitzero"`

	Ended uint64 `json:"ended"` // uploads that ended, ever: the number of the next row
}

func (s *state) encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the state of the catalog view: %w", err)
	}
	return b, nil
}

func decodeState(b []byte) (s state, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, rotten("state: %v", err)
	}
	if s.Format == format && (s.Whole > s.Index || s.Index > s.Seen) {
		return s, rotten("state: whole through %d at %d of %d", s.Whole, s.Index, s.Seen)
	}
	return s, nil
}

// complete is the index through which every reference of a group is here.
func (s *state) complete(pg vstack.PG) uint64 {
	if !s.Known.Has(pg) || s.Reading.Has(pg) {
		return 0
	}
	return s.Whole
}

// learn takes groups in. What the view has passed already is to be read for them.
func (s *state) learn(pg vstack.PG) (grew bool) {
	if s.Known.Has(pg) {
		return false
	}
	s.Known.Add(pg)
	if s.Index > 0 {
		s.Reading.Add(pg)
		s.Again = 0
		return true
	}
	return false
}

// startOver forgets what was read, and keeps which groups are known.
func (s *state) startOver() {
	s.Cluster = vstack.ClusterID{}
	s.Index, s.Whole, s.Seen, s.Again, s.Ended = 0, 0, 0, 0, 0
	s.Reading = feed.Groups{}
}

// wanted reports whether a store of this host is a target of a group.
func wanted(m *vstack.PlacementMap, pg vstack.PG, stores []vstack.StoreID) bool {
	return slices.ContainsFunc(stores, func(s vstack.StoreID) bool { return m.Groups[pg].Index(s) >= 0 })
}
