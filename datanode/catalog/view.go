package catalog

import (
	"github.com/vstack/vstack/internal/vstack"
)

// Place is a slot of a living video and the size in bytes of the chunk that fills it.
type Place struct {
	Slot vstack.Slot
	Size uint32
	// Class is the video's, and Scheme as in Reference.
	Class      vstack.StorageClass
	Scheme     vstack.Scheme
	ClassIndex uint64
}

// Slots finds, for each of the chunks that living videos name, one slot that it fills, so that
// the chunk can be asked of that slot's targets.
func (f *Follower) Slots(wanted map[vstack.ChunkID]struct{}) map[vstack.ChunkID]Place {
	s := f.Snapshot()
	defer s.Close()
	found := make(map[vstack.ChunkID]Place, len(wanted))
	for id := range wanted {
		err := s.ReferencesTo(id, func(r Reference) bool {
			found[id] = Place{r.Slot, r.Size, r.Class, r.Scheme, r.ClassIndex}
			return false
		})
		if err != nil {
			break
		}
	}
	return found
}

// Index is how far the view has got: it has seen every change up to it, but for those of
// objects that changed again later. It falls only when the view begins anew.
func (f *Follower) Index() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.Index
}

// Synced reports whether every group that is known here is complete through index.
func (f *Follower) Synced(index uint64) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return !f.broken.Load() && f.state.Reading.Empty() && f.state.Whole > 0 && f.state.Whole >= index
}

// Changed is closed at the next change of the view or of its index.
func (f *Follower) Changed() <-chan struct{} {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.changed
}

// Placement is the current map, nil before the first; the caller must not change it.
func (f *Follower) Placement() *vstack.PlacementMap {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.placement
}

// Open reports whether an upload is open, as far as the view knows.
func (f *Follower) Open(id vstack.UploadID) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ok := f.open[id]
	return ok
}
