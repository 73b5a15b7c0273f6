package catalog

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Holding is one slot of a living video in a placement group that targets a store.
type Holding struct {
	Slot  vstack.Slot
	Chunk vstack.ChunkID
	Size  uint32              // bytes
	Index int                 // of the store among the group's targets
	Class vstack.StorageClass // of the video
}

// view is the state behind a Follower's lock.
type view struct {
	stores    []vstack.StoreID
	placement *vstack.PlacementMap
	interest  [vstack.PlacementGroups]bool
	videos    map[vstack.VideoID]*video
	open      map[vstack.UploadID]struct{}
	chunks    int // in all videos
}

// video is never changed once it is in the map, only replaced: iterations work on
// what they found.
type video struct {
	id    vstack.VideoID
	class vstack.StorageClass
	refs  []ref // of groups of interest
}

// ref is a slot and its chunk, 44 bytes: a store may know millions.
type ref struct {
	chunk vstack.ChunkID
	size  uint32
	seq   uint32
	track uint16
	pg    vstack.PG
}

func newView(stores []vstack.StoreID) view {
	return view{stores: slices.Clone(stores), videos: map[vstack.VideoID]*video{}, open: map[vstack.UploadID]struct{}{}}
}

// apply takes a page in and reports whether the interest grew. The placement comes
// first: within one page it decides which slots are kept.
func (v *view) apply(page wire.FeedPage) (grew bool) {
	if page.Placement != nil && (v.placement == nil || page.Placement.Version >= v.placement.Version) {
		grew = v.place(page.Placement)
	}
	for _, u := range page.Uploads {
		if u.State == vstack.UploadOpen {
			v.open[u.ID] = struct{}{}
		} else {
			delete(v.open, u.ID)
		}
	}
	for _, fv := range page.Videos {
		v.put(fv)
	}
	return grew
}

func (v *view) place(m *vstack.PlacementMap) (grew bool) {
	v.placement = m
	if !m.Ready() {
		return false
	}
	for pg, g := range m.Groups {
		wanted := slices.ContainsFunc(v.stores, func(s vstack.StoreID) bool { return g.Index(s) >= 0 })
		grew = grew || wanted && !v.interest[pg]
		// A group once of interest stays: its chunks here are only dropped by the
		// converge loop, which asks the placement and not the interest.
		v.interest[pg] = v.interest[pg] || wanted
	}
	return grew
}

func (v *view) put(fv wire.FeedVideo) {
	id := fv.Video.ID
	if old := v.videos[id]; old != nil {
		v.chunks -= len(old.refs)
		delete(v.videos, id)
	}
	if fv.Video.State != vstack.VideoPublished || fv.Manifest == nil {
		return
	}
	entry := &video{id: id, class: fv.Video.Class}
	fv.Manifest.Slots(func(s vstack.Slot, c vstack.ChunkRef) bool {
		if pg := s.PG(); v.interest[pg] {
			entry.refs = append(entry.refs, ref{chunk: c.ID, size: c.Size, seq: s.Seq, track: s.Track, pg: pg})
		}
		return true
	})
	entry.refs = slices.Clip(entry.refs)
	v.chunks += len(entry.refs)
	v.videos[id] = entry
}

// Holdings calls yield for every slot that a store is a target of, until yield returns
// false. A chunk that fills several slots comes several times. The lock is not held
// while yield runs; the answer is the view as it was at the call.
func (f *Follower) Holdings(store vstack.StoreID, yield func(Holding) bool) {
	f.mu.RLock()
	videos := make([]*video, 0, len(f.view.videos))
	for _, v := range f.view.videos {
		videos = append(videos, v)
	}
	placement := f.view.placement
	f.mu.RUnlock()
	if !placement.Ready() {
		return
	}
	var index [vstack.PlacementGroups]int8
	for pg := range index {
		index[pg] = int8(placement.Groups[pg].Index(store))
	}
	for _, v := range videos {
		for _, r := range v.refs {
			if i := index[r.pg]; i >= 0 && !yield(Holding{
				Slot:  vstack.Slot{Video: v.id, Track: r.track, Seq: r.seq},
				Chunk: r.chunk, Size: r.size, Index: int(i), Class: v.class,
			}) {
				return
			}
		}
	}
}

// Open reports whether an upload is open, as far as the view knows.
func (f *Follower) Open(id vstack.UploadID) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ok := f.view.open[id]
	return ok
}

// Slot is one slot of a living video that holds a chunk, so that the chunk can be
// asked of that slot's targets. It searches, which only healing needs.
func (f *Follower) Slot(id vstack.ChunkID) (vstack.Slot, uint32, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, v := range f.view.videos {
		for _, r := range v.refs {
			if r.chunk == id {
				return vstack.Slot{Video: v.id, Track: r.track, Seq: r.seq}, r.size, true
			}
		}
	}
	return vstack.Slot{}, 0, false
}
