package survey

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// Survey collects one ranged prepare from every acceptor of an upload: which slots
// are chosen, and where round 0 may be used. A promise holds in the epoch in which it
// was made; after an epoch change the survey says nothing about that group any more.
type Survey struct {
	upload vstack.Upload
	groups []vstack.PGTargets
	stores map[vstack.StoreID]*surveyed
}

// surveyed is what one store promised so far.
type surveyed struct {
	after    *vstack.Slot
	complete bool
	groups   map[vstack.PG]vstack.Epoch
	votes    map[vstack.Slot]message.Vote
}

// New plans a survey of an upload over the placement map of the moment.
func New(up vstack.Upload, m *vstack.PlacementMap) (*Survey, error) {
	if !m.Ready() {
		return nil, fmt.Errorf("survey upload %s: %w", up.ID, vstack.ErrNotReady)
	}
	s := &Survey{upload: up, groups: m.Groups, stores: make(map[vstack.StoreID]*surveyed)}
	for _, g := range m.Groups {
		for _, id := range g.Acceptors() {
			s.stores[id] = &surveyed{votes: make(map[vstack.Slot]message.Vote)}
		}
	}
	return s, nil
}

// Stores are the stores to ask, in the order of their ids.
func (s *Survey) Stores() []vstack.StoreID {
	ids := make([]vstack.StoreID, 0, len(s.stores))
	for id := range s.stores {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b vstack.StoreID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// Next is the message that asks a store for its next page; false when there is none.
// Its ballot is the round 0 of the upload's incarnation.
func (s *Survey) Next(store vstack.StoreID) (message.PrepareUpload, bool) {
	st := s.stores[store]
	if st == nil || st.complete {
		return message.PrepareUpload{}, false
	}
	return message.PrepareUpload{
		Upload: s.upload.ID, UploadIndex: s.upload.Index, Ballot: s.ballot(), After: st.after,
	}, true
}

// Add takes one page of a store's answer.
func (s *Survey) Add(p message.UploadPromise) error {
	st := s.stores[p.Store]
	switch {
	case st == nil || st.complete:
		return fmt.Errorf("survey upload %s: %w: store %s was not asked", s.upload.ID, vstack.ErrInvalid, p.Store)
	case p.Upload != s.upload.ID || p.Ballot != s.ballot():
		return fmt.Errorf("survey upload %s: %w: store %s promised %s to upload %s", s.upload.ID, vstack.ErrInvalid, p.Store, p.Ballot, p.Upload)
	case p.More && len(p.Votes) == 0:
		return fmt.Errorf("survey upload %s: %w: store %s promised more after an empty page", s.upload.ID, vstack.ErrInvalid, p.Store)
	}
	for _, v := range p.Votes {
		if st.after != nil && message.CompareSlots(v.Slot, *st.after) <= 0 || v.Slot.Video != s.upload.Video {
			return fmt.Errorf("survey upload %s: %w: store %s answered slot %s out of order", s.upload.ID, vstack.ErrInvalid, p.Store, v.Slot)
		}
		at := v.Slot
		st.after = &at
		st.votes[at] = v
	}
	groups := make(map[vstack.PG]vstack.Epoch, len(p.Groups))
	for _, g := range p.Groups {
		if before, ok := st.groups[g.PG]; st.groups == nil || ok && before == g.Epoch {
			groups[g.PG] = g.Epoch
		}
	}
	st.groups, st.complete = groups, !p.More
	return nil
}

// Chosen returns the slots that the learn rule shows to be chosen.
func (s *Survey) Chosen() map[vstack.Slot]vstack.Value {
	chosen := make(map[vstack.Slot]vstack.Value)
	for _, st := range s.stores {
		for at := range st.votes {
			if _, done := chosen[at]; done {
				continue
			}
			reports := make(map[vstack.StoreID]message.Vote, vstack.Acceptors)
			for _, id := range s.promised(at.PG()) {
				if v, ok := s.stores[id].votes[at]; ok {
					reports[id] = v
				}
			}
			if v, ok := message.ChosenOf(s.groups[at.PG()].Acceptors(), reports); ok {
				chosen[at] = v
			}
		}
	}
	return chosen
}

// Fast reports whether the owner may use round 0 for a slot at an epoch: a majority
// of its acceptors promised, and none of them had a vote.
func (s *Survey) Fast(slot vstack.Slot, e vstack.Epoch) bool {
	g := s.groups[slot.PG()]
	promised := s.promised(slot.PG())
	if g.Epoch != e || len(promised) < message.Majority(len(g.Acceptors())) {
		return false
	}
	for _, id := range promised {
		if _, voted := s.stores[id].votes[slot]; voted {
			return false
		}
	}
	return true
}

// Behind reports whether there is a placement group of which fewer than a majority of
// the acceptors promised at the survey's epoch. If all stores have answered, those of
// that group were at another epoch when they did, and another survey will find more.
func (s *Survey) Behind() bool {
	for pg, g := range s.groups {
		if len(s.promised(vstack.PG(pg))) < message.Majority(len(g.Acceptors())) {
			return true
		}
	}
	return false
}

// promised are the acceptors of a group whose complete promise covers it.
func (s *Survey) promised(pg vstack.PG) []vstack.StoreID {
	var ids []vstack.StoreID
	for _, id := range s.groups[pg].Acceptors() {
		if st := s.stores[id]; st.complete && st.groups[pg] == s.groups[pg].Epoch {
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *Survey) ballot() vstack.Ballot {
	return vstack.Ballot{Incarnation: s.upload.Incarnation, Proposer: s.upload.Owner}
}
