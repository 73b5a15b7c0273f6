package permit

import (
	"encoding/binary"
	"math"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Groups is a set of placement groups.
type Groups [vstack.PlacementGroups]bool

// Answer is what the leader last said of the groups, in its answer to a heartbeat.
type Answer struct {
	// Floor is the least that counts as the ClassIndex of a video: the index at which the
	// cluster began to keep it. 0: it does not keep it yet, and nothing but what no living
	// video refers to may go.
	Floor uint64
	Whole map[vstack.PG]wire.GroupWhole
	// Short says what others have of groups of which stores here lack something, and Paused
	// that no video is brought further on its way to another class. Neither has to do with
	// what may go.
	Short  map[vstack.PG]wire.GroupShort
	Paused bool
}

// View is one look at the catalog's view, as catalog.Snapshot gives it.
type View interface {
	// Placement is the map, nil before the first.
	Placement() *vstack.PlacementMap
	// Complete is the index through which every reference of a group is in the view; 0
	// while it is read.
	Complete(vstack.PG) uint64
}

// Survey compares one look at the view with what a store holds.
type Survey struct {
	store vstack.StoreID
	known Groups
	floor uint64
	ready bool // the view has a map, and is complete in every known group
	rules rules

	groups [vstack.PlacementGroups]group
	named  named
	left   map[vstack.ChunkID][]need // references to chunks of which they do not want all that is held
}

// group is what the view says of one group, and what was found of it.
type group struct {
	index    int // of the store among the targets, -1 for none
	number   vstack.FragmentNumber
	next     bool
	epoch    vstack.Epoch
	complete uint64
	lacks    uint64 // lowest ClassIndex that lacks something
	short    uint64 // the same of what keeps videos readable
	holds    bool   // the store has something of it
}

// need is a reference that does not want all that is held of its chunk here: the group must
// be whole through the index before any of it may go.
type need struct {
	pg    vstack.PG
	index uint64
}

// rules breaks one rule each; only tests can set it.
type rules struct {
	graceAlone bool // 2 is skipped
	committed  bool // 2 asks for nothing but that the leader and the view agree on the epoch
	anyEpoch   bool // of W and the view
	anyView    bool // 2 does not ask that the view be complete through S
	// coldIsWhole: fragments that are not there are not lacking, as for a program that does
	// not know them.
	coldIsWhole bool
	byPosition  bool // fragment numbers follow the position
}

// NewSurvey begins a survey of a store that knows groups, with the floor of the last
// answer.
func NewSurvey(store vstack.StoreID, known Groups, floor uint64, view View) *Survey {
	m := view.Placement()
	s := &Survey{store: store, known: known, floor: floor, ready: m.Ready(), named: named{}, left: map[vstack.ChunkID][]need{}}
	for pg := range s.groups {
		g := &s.groups[pg]
		*g = group{index: -1, complete: view.Complete(vstack.PG(pg)), lacks: math.MaxUint64, short: math.MaxUint64}
		if m.Ready() {
			of := &m.Groups[pg]
			g.index, g.next, g.epoch = of.Index(store), of.Takes(store), of.Epoch
			if g.index >= 0 {
				g.number = of.Fragment(g.index)
			}
		}
		s.ready = s.ready && (!known[pg] || g.complete > 0)
	}
	return s
}

// Held is a piece of a chunk that lies on the store's disk. A damaged one is nothing to rely
// on, and takes its space all the same.
type Held struct {
	Piece   vstack.Piece
	Damaged bool
}

// Desire is what the store must hold of a reference's chunk.
func (s *Survey) Desire(r catalog.Reference) Desire {
	g := &s.groups[r.Slot.PG()]
	number := g.number
	if s.rules.byPosition {
		number = vstack.FragmentNumber(max(g.index, 0))
	}
	return DesireOf(r.Class, r.Scheme, g.index, number)
}

// Add takes in one reference of a group that the store knows, and what the store has of its
// chunk. It answers what of it should be here and is not.
func (s *Survey) Add(r catalog.Reference, held []Held) (lacking Desire) {
	pg := r.Slot.PG()
	g := &s.groups[pg]
	want := s.Desire(r)
	index := max(r.ClassIndex, s.floor)
	lacking = want
	leaves := false // the store has something that the reference does not want
	for _, h := range held {
		g.holds = true
		switch {
		case !want.Wants(h.Piece):
			leaves = true
		case h.Damaged:
		case h.Piece.IsChunk():
			lacking.Chunk = false
		default:
			lacking.Fragment = vstack.Piece{}
		}
	}
	if want.Chunk {
		s.named.add(r.Chunk, vstack.Piece{})
	}
	if !want.Fragment.IsChunk() {
		s.named.add(r.Chunk, want.Fragment)
	}
	if leaves {
		n := need{pg, index}
		if index == 0 {
			n.index = math.MaxUint64 // unknown: no group is ever whole through it
		}
		s.left[r.Chunk] = append(s.left[r.Chunk], n)
	}
	if s.rules.coldIsWhole {
		lacking.Fragment = vstack.Piece{}
	}
	if lacking != (Desire{}) {
		g.lacks = min(g.lacks, index)
	}
	if lacking.KeepsReadable(r.Class, r.Scheme) {
		g.short = min(g.short, index)
	}
	return lacking
}

// Ready reports whether the view is complete in every group that the store was in: before
// that, what it does not name may only be unread.
func (s *Survey) Ready() bool { return s.ready }

// Wanted reports whether a reference wants the piece here.
func (s *Survey) Wanted(id vstack.ChunkID, p vstack.Piece) bool { return s.named.has(id, p) }

// Permits reports whether rules 1 and 2, and of 4 what the groups say, let a held piece go.
func (s *Survey) Permits(id vstack.ChunkID, p vstack.Piece, a Answer) bool {
	if s.Wanted(id, p) || !s.ready {
		return false
	}
	for _, n := range s.left[id] {
		if !s.whole(n, a) {
			return false
		}
	}
	return true
}

func (s *Survey) whole(n need, a Answer) bool {
	if s.rules.graceAlone {
		return true
	}
	w, told := a.Whole[n.pg]
	g := &s.groups[n.pg]
	epoch := g.epoch == w.Epoch || s.rules.anyEpoch
	if s.rules.committed {
		return told && epoch
	}
	return told && epoch && (g.complete >= w.Surveyed || s.rules.anyView) && w.Whole >= n.index
}

// Claims are what the store may say of the groups that it knows.
func (s *Survey) Claims() []wire.GroupClaim {
	var out []wire.GroupClaim
	for pg, yes := range s.known {
		g := &s.groups[pg]
		if !yes || g.epoch == 0 {
			continue
		}
		c := wire.GroupClaim{PG: vstack.PG(pg), Epoch: g.epoch, Complete: g.complete, Surveyed: g.complete, Readable: g.complete}
		if g.lacks <= c.Complete {
			c.Complete = max(g.lacks, 1) - 1
		}
		if g.short <= c.Readable {
			c.Readable = max(g.short, 1) - 1
		}
		out = append(out, c)
	}
	return out
}

// Done are the known groups of which nothing is held and nothing will be: the store is no
// target of them, now or next, no vote is for a slot of theirs, and the view has read them.
func (s *Survey) Done(voted Groups) (out []vstack.PG) {
	if !s.ready {
		return nil
	}
	for pg, yes := range s.known {
		if g := &s.groups[pg]; yes && !g.holds && g.index < 0 && !g.next && !voted[pg] {
			out = append(out, vstack.PG(pg))
		}
	}
	return out
}

// named is a set of pieces by the first eight bytes of their chunks' names: at millions of
// chunks the rest costs more memory than it is worth. Two pieces that share an entry only make
// one of them stay longer than it needs to.
type named map[uint64]struct{}

func nameOf(id vstack.ChunkID, p vstack.Piece) uint64 {
	fragment := uint64(p.K)<<16 | uint64(p.M)<<8 | uint64(p.I)
	return binary.BigEndian.Uint64(id[:]) ^ fragment*0x9e3779b97f4a7c15 // of a chunk, as it is
}

func (n named) add(id vstack.ChunkID, p vstack.Piece)      { n[nameOf(id, p)] = struct{}{} }
func (n named) has(id vstack.ChunkID, p vstack.Piece) bool { _, ok := n[nameOf(id, p)]; return ok }
