package classes

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// share is what of a video may lie in fragments, in one group.
type share struct {
	pg    vstack.PG
	bytes int64
}

// shares sums up by group the chunks of a video that do not stay copies in a layout.
func shares(m *vstack.Manifest, l vstack.Layout) []share {
	var sums [vstack.PlacementGroups]int64
	kept := l.Kept(m)
	m.Slots(func(s vstack.Slot, c vstack.ChunkRef) bool {
		if !kept.Has(s.Track, s.Seq, c.Size) {
			sums[s.PG()] += int64(c.Size)
		}
		return true
	})
	var out []share
	for pg, n := range sums {
		if n > 0 {
			out = append(out, share{vstack.PG(pg), n})
		}
	}
	return out
}

// room is what stores have free, less what videos on their way take until they have arrived:
// fragments beside the copies of one that cools, copies beside the fragments of one that
// warms. What they have of it already is counted twice, so that the figure errs to the safe
// side.
type room struct {
	state State
	taken map[vstack.StoreID]int64
}

// adds is what a video takes of each store on its way.
func (r *room) adds(v *video, to vstack.StorageClass, scheme vstack.Scheme) map[vstack.StoreID]int64 {
	out := map[vstack.StoreID]int64{}
	for _, s := range v.shares {
		g := r.state.Map.Groups[s.pg]
		if to == vstack.ClassWarming {
			for _, id := range g.Acceptors() {
				out[id] += s.bytes
			}
			continue
		}
		for i, id := range g.Targets {
			if int(g.Fragment(i)) < scheme.Total() {
				out[id] += (s.bytes + int64(scheme.K) - 1) / int64(scheme.K)
			}
		}
	}
	return out
}

// take books a video that is on its way.
func (r *room) take(v *video, to vstack.StorageClass, scheme vstack.Scheme) {
	if r.state.Free == nil {
		return
	}
	for id, n := range r.adds(v, to, scheme) {
		r.taken[id] += n
	}
}

// has reports as ErrDiskFull the store that has no room for a video on its way. The text is
// the same from look to look, so that it is logged once.
func (r *room) has(v *video, to vstack.StorageClass, scheme vstack.Scheme) error {
	if r.state.Free == nil {
		return nil
	}
	var full vstack.StoreID
	var needs int64
	for id, n := range r.adds(v, to, scheme) {
		free, heard := r.state.Free(id)
		if (!heard || free-r.taken[id] < n) && n > needs {
			full, needs = id, n
		}
	}
	if needs > 0 {
		return fmt.Errorf("video %s: %w: until it is %s it takes %d bytes more of store %s, which has not so many to spare", v.ID, vstack.ErrDiskFull, arrived(to), needs, full)
	}
	return nil
}

// arrived is the class that a transition ends in.
func arrived(on vstack.StorageClass) vstack.StorageClass {
	if on == vstack.ClassWarming {
		return vstack.ClassHot
	}
	return vstack.ClassCold
}
