package vstack

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// PG is a placement group, counted from 0 to the cluster's number of groups.
type PG uint16

// PG is the slot's placement group in a cluster of PlacementGroups groups.
func (s Slot) PG() PG { return s.PGOf(PlacementGroups) }

// PGOf hashes the slot to its placement group of so many: the first two bytes of
// SHA-256(video ‖ track LE ‖ seq LE), modulo groups, a power of two. It is part of the
// format: changing it would lose every chunk.
func (s Slot) PGOf(groups int) PG {
	var b [22]byte
	copy(b[:16], s.Video[:])
	binary.LittleEndian.PutUint16(b[16:], s.Track)
	binary.LittleEndian.PutUint32(b[18:], s.Seq)
	h := sha256.Sum256(b[:])
	return PG(int(binary.LittleEndian.Uint16(h[:])) % groups)
}

// PGTargets is the assignment of one placement group at one epoch. The first
// Acceptors of Targets vote.
type PGTargets struct {
	Epoch   Epoch     `json:"epoch"`
	Targets []StoreID `json:"targets"`
	// Attempt is the install attempt that activated Epoch; 0 for an epoch that had
	// nothing to take over.
	Attempt uint32 `json:"attempt,omitzero"`
	// Fragments are the fragment numbers of the targets, one each; see Fragment.
	Fragments []FragmentNumber `json:"fragments,omitempty"`
	// Next is the epoch that is being prepared; nil when none is.
	Next *NextEpoch `json:"next,omitempty"`
}

// FragmentNumber says which fragment of a cold chunk a target holds, counted from 0; one of
// k + m or more holds none. It stays with its store while positions change.
type FragmentNumber uint16

// Fragment is the number of the target at an index: its position, unless the group says.
func (p PGTargets) Fragment(i int) FragmentNumber {
	if i < len(p.Fragments) {
		return p.Fragments[i]
	}
	return FragmentNumber(i)
}

// NextEpoch is PREPARING(e+1, targets): the last attempt that was issued to bring a
// placement group to its next epoch. Driver is the store whose datanode drives it.
type NextEpoch struct {
	Epoch   Epoch     `json:"epoch"`
	Attempt uint32    `json:"attempt"` // from 1; only the last one issued may be activated
	Targets []StoreID `json:"targets"`
	Driver  StoreID   `json:"driver"`
	// Fragments are the fragment numbers of Targets, as in PGTargets.
	Fragments []FragmentNumber `json:"fragments,omitempty"`
}

// Acceptors returns the stores that will vote, in order.
func (n *NextEpoch) Acceptors() []StoreID { return n.Targets[:min(Acceptors, len(n.Targets))] }

// Acceptors returns the voting targets, in order.
func (p PGTargets) Acceptors() []StoreID { return p.Targets[:min(Acceptors, len(p.Targets))] }

// Index returns the target index of a store, or -1.
func (p PGTargets) Index(s StoreID) int { return slices.Index(p.Targets, s) }

// Takes reports whether the epoch that is being prepared names a store.
func (p PGTargets) Takes(s StoreID) bool {
	return p.Next != nil && slices.Contains(p.Next.Targets, s)
}

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
	// Cordoned says that it takes no new role. Never below LevelPolicy.
	Cordoned bool `json:"cordoned,omitzero"`
}

// PlacementMap is all that a client needs to find any chunk. Version is the Raft
// index of its last change. Groups is empty until enough stores have registered,
// then has PlacementGroups entries.
type PlacementMap struct {
	Version uint64      `json:"version"`
	Groups  []PGTargets `json:"groups"`
	Stores  []Store     `json:"stores"`
	// Targets is the number of targets that a group is to have, MaxTargets at most; absent for
	// Targets, and never there below LevelManifests. Groups follow it by changes of epoch as far as
	// there are stores.
	Targets int `json:"targets,omitzero"`
}

// TargetCount is the number of targets that a group is to have.
func (m *PlacementMap) TargetCount() int { return cmp.Or(m.Targets, Targets) }

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
