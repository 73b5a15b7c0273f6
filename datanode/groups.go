package datanode

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/internal/vstack"
)

// The groups that a store knows are those that it is in, or was in and has something of.
// What it holds of a group that it does not know would look as if nothing named it, so a
// group is noted, durably, before anything of it is held, and stays until nothing is.

// groupsNote is the set in the file. One that fails its checksum is taken for lost.
type groupsNote struct {
	Known []vstack.PG `json:"known"`
	Sum   uint32      `json:"crc32c"` // of Known, two bytes each, little-endian
}

func noteOf(known permit.Groups) *groupsNote {
	n := &groupsNote{Known: list(known)}
	n.Sum = n.sum()
	return n
}

func (n *groupsNote) sum() uint32 {
	var b []byte
	for _, pg := range n.Known {
		b = binary.LittleEndian.AppendUint16(b, uint16(pg))
	}
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

// read is the set. A store that holds something and has no note of it may have been in any
// group: it is from before there was one, or the note is damaged.
func (n *groupsNote) read(holds bool) (known permit.Groups) {
	if n != nil && n.Sum == n.sum() {
		for _, pg := range n.Known {
			if int(pg) < len(known) {
				known[pg] = true
			}
		}
		return known
	}
	for pg := range known {
		known[pg] = holds
	}
	return known
}

// Known is the set.
func (l *lineage) Known() permit.Groups {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// Join notes the groups that a map gives to the store.
func (l *lineage) Join(m *vstack.PlacementMap, store vstack.StoreID) error {
	if !m.Ready() {
		return nil
	}
	var mine permit.Groups
	for pg, t := range m.Groups {
		mine[pg] = t.Index(store) >= 0 || t.Takes(store)
	}
	return l.change(func(known *permit.Groups) {
		l.mine = mine
		for pg, yes := range mine {
			known[pg] = known[pg] || yes
		}
	})
}

// Forget takes groups out, but for those that the newest map gives to the store.
func (l *lineage) Forget(done []vstack.PG) error {
	return l.change(func(known *permit.Groups) {
		for _, pg := range done {
			known[pg] = known[pg] && l.mine[pg]
		}
	})
}

// change writes the set that f leaves, and has it count once it is durable. f runs under
// the lock.
func (l *lineage) change(f func(known *permit.Groups)) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	next, p := l.known, l.past
	f(&next)
	same := next == l.known
	l.mu.Unlock()
	if same {
		return nil
	}
	if err := l.save(p, next); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = next
	return nil
}

// Known are the groups that the store knows.
func (st *store) Known() permit.Groups { return st.past.Known() }

// Forget takes groups out, and out of the view once no store here knows them.
func (st *store) Forget(done []vstack.PG) error {
	if err := st.past.Forget(done); err != nil {
		return err
	}
	known := st.server.known()
	for _, pg := range done {
		if known[pg] {
			continue
		}
		if _, err := st.server.follower.Forget(pg); err != nil {
			return fmt.Errorf("forget group %d: %w", pg, err)
		}
	}
	return nil
}

// joinGroups notes in each store which groups a map gives to it, before the map counts.
func (s *Server) joinGroups(m *vstack.PlacementMap) error {
	for _, st := range s.stores {
		if err := st.past.Join(m, st.disk.ID()); err != nil {
			return fmt.Errorf("store %s: %w", st.disk.ID(), err)
		}
	}
	return nil
}

// known are the groups of all stores.
func (s *Server) known() (all permit.Groups) {
	for _, st := range s.stores {
		for pg, yes := range st.past.Known() {
			all[pg] = all[pg] || yes
		}
	}
	return all
}

// list is the set in order.
func list(g permit.Groups) (out []vstack.PG) {
	for pg, yes := range g {
		if yes {
			out = append(out, vstack.PG(pg))
		}
	}
	return out
}
