package redundancy

import (
	"errors"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
)

// groups is a set of placement groups.
type groups [(vstack.PlacementGroups + 63) / 64]uint64

func (g *groups) add(pg vstack.PG)      { g[pg/64] |= 1 << (pg % 64) }
func (g *groups) has(pg vstack.PG) bool { return g[pg/64]>>(pg%64)&1 == 1 }

// all is the set of every group.
var all = func() (g groups) {
	for pg := range vstack.PG(vstack.PlacementGroups) {
		g.add(pg)
	}
	return g
}()

// parts says where a video has chunks: such that are copies in every class, and such that may
// lie in fragments, with their bytes.
type parts struct {
	kept, coded groups
	bytes       int64
}

// partsOf looks at a manifest in a layout. A slot's group takes a hash, so that no more slots
// are placed than it takes to find every group.
func partsOf(m *vstack.Manifest, l vstack.Layout) (p parts) {
	keeps := l.Kept(m)
	m.Slots(func(s vstack.Slot, c vstack.ChunkRef) bool {
		in := &p.kept
		if !keeps.Has(s.Track, s.Seq, c.Size) {
			in = &p.coded
			p.bytes += int64(c.Size)
		}
		if *in != all {
			in.add(s.PG())
		}
		return true
	})
	return p
}

// Ledger knows of every published video what a judgement of the whole cluster takes. It
// follows the catalog a piece at a time: of 100,000 films the first reading takes a while.
type Ledger struct {
	layout vstack.Layout // for videos that have none
	videos map[vstack.VideoID]*entry
	read   uint64
	behind bool
}

type entry struct {
	vstack.Video
	parts
}

// NewLedger knows nothing yet.
func NewLedger() *Ledger { return &Ledger{videos: map[vstack.VideoID]*entry{}} }

// Look reads what changed, for at most as long. A policy with another layout has everything
// read again: which chunks would stay copies depends on it.
func (l *Ledger) Look(v *catalog.View, atMost time.Duration) {
	policy, _ := v.Redundancy()
	if v.FeedIndex() < l.read || policy.Layout != l.layout {
		*l = *NewLedger()
		l.layout = policy.Layout
	}
	began := time.Now()
	l.behind = false
	for c := range v.Changes(l.read) {
		if c.Index > l.read && time.Since(began) > atMost { // all of one index, or none
			l.behind = true
			return
		}
		if c.Upload != nil {
			l.read = c.Index
			continue
		}
		m, err := c.Manifest()
		if errors.Is(err, vstack.ErrNotFound) { // deleted since: there is a later change
			m, err = nil, nil
		}
		if err != nil { // the process is about to end
			l.behind = true
			return
		}
		l.read = c.Index
		if m == nil {
			delete(l.videos, c.Video.ID)
			continue
		}
		layout := c.Video.Layout
		if layout.IsZero() {
			layout = l.layout
		}
		e := &entry{Video: c.Video, parts: partsOf(m, layout)}
		e.Layout = layout
		l.videos[c.Video.ID] = e
	}
}

// Behind reports whether there is more to read: figures are of a part of the videos.
func (l *Ledger) Behind() bool { return l.behind }
