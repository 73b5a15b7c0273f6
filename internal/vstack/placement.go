package vstack

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// PG is a placement group, 0 ≤ PG < PlacementGroups.
type PG uint16

// PG hashes the slot to its placement group: the first two bytes of
// SHA-256(video ‖ track LE ‖ seq LE), modulo PlacementGroups. It is part of the
// format: changing it would lose every chunk.
func (s Slot) PG() PG {
	var b [22]byte
	copy(b[:16], s.Video[:])
	binary.LittleEndian.PutUint16(b[16:], s.Track)
	binary.LittleEndian.PutUint32(b[18:], s.Seq)
	h := sha256.Sum256(b[:])
	return PG(binary.LittleEndian.Uint16(h[:]) % PlacementGroups)
}

// PGTargets is the assignment of one placement group at one epoch. The first
// Acceptors of Targets vote.
type PGTargets struct {
	Epoch   Epoch     `json:"epoch"`
	Targets []StoreID `json:"targets"`
	// Attempt is the install attempt that activated Epoch; 0 for an epoch that had
	// nothing to take over.
	Attempt uint32 `json:"attempt,omitzero"`
	// Next is the epoch that is being prepared; nil when none is.
	Next *NextEpoch `json:"next,omitempty"`
}

// NextEpoch is PREPARING(e+1, targets): the last attempt that was issued to bring a
// placement group to its next epoch. Driver is the store whose datanode drives it.
type NextEpoch struct {
	Epoch   Epoch     `json:"epoch"`
	Attempt uint32    `json:"attempt"` // from 1; only the last one issued may be activated
	Targets []StoreID `json:"targets"`
	Driver  StoreID   `json:"driver"`
}

// Acceptors returns the stores that will vote, in order.
func (n *NextEpoch) Acceptors() []StoreID { return n.Targets[:min(Acceptors, len(n.Targets))] }

// Acceptors returns the voting targets, in order.
func (p PGTargets) Acceptors() []StoreID { return p.Targets[:min(Acceptors, len(p.Targets))] }

// Index returns the target index of a store, or -1.
func (p PGTargets) Index(s StoreID) int { return slices.Index(p.Targets, s) }

// StoreState is what the catalog knows of a store's life.
type StoreState string

const (
	StoreUp      StoreState = "up"
	StoreSuspect StoreState = "suspect" // missed heartbeats; still a target
	StoreDown    StoreState = "down"    // silent for long; reads and writes avoid it
)

// Leave is why a store gives up its roles; empty when it does not.
type Leave string

const (
	LeaveDead    Leave = "dead"    // silent for so long that it is taken for lost
	LeaveOrdered Leave = "ordered" // an operator's order
)

// Store is a store as the catalog registers it.
type Store struct {
	ID       StoreID    `json:"id"`
	Host     HostID     `json:"host"`
	Addr     string     `json:"addr"` // HOST:PORT; HTTP/3 on UDP, HTTP/2 and HTTP/1.1 on TCP
	State    StoreState `json:"state"`
	Capacity int64      `json:"capacity"` // bytes
	// Leaving says that its roles are on their way to other stores. It ends with the
	// last of them, and for a dead store with its return.
	Leaving Leave `json:"leaving,omitzero"`
}

// PlacementMap is all that a client needs to find any chunk. Version is the Raft
// index of its last change. Groups is empty until enough stores have registered,
// then has PlacementGroups entries.
type PlacementMap struct {
	Version uint64      `json:"version"`
	Groups  []PGTargets `json:"groups"`
	Stores  []Store     `json:"stores"`
}

// Ready reports whether the map assigns targets to every placement group.
func (m *PlacementMap) Ready() bool { return m != nil && len(m.Groups) == PlacementGroups }

// Group returns the assignment of a slot's placement group; false until Ready.
func (m *PlacementMap) Group(s Slot) (PGTargets, bool) {
	if !m.Ready() {
		return PGTargets{}, false
	}
	return m.Groups[s.PG()], true
}

// Store looks a store up by id.
func (m *PlacementMap) Store(id StoreID) (Store, bool) {
	for _, s := range m.Stores {
		if s.ID == id {
			return s, true
		}
	}
	return Store{}, false
}
