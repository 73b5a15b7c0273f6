package catalog

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/vstack/vstack/internal/vstack"
)

// Reference is one slot of a living video and the chunk that fills it.
type Reference struct {
	Slot  vstack.Slot
	Chunk vstack.ChunkID
	Size  uint32 // bytes
	Class vstack.StorageClass
	// Scheme is that of the fragments that the class asks for; zero for a chunk that is a copy
	// in every class, and in a class that asks for none.
	Scheme vstack.Scheme
	// ClassIndex is the Raft index of the video's publish or last change of class; 0 when the
	// catalog does not say. That of a change of any other kind would not do: a store that
	// lacks the video lacks it through all of them.
	ClassIndex uint64
}

// Snapshot is the view at one moment. All that it answers belongs together: the index,
// through where each group is complete, and the references. Close it soon.
type Snapshot struct {
	f         *Follower
	rows      *pebble.Snapshot
	state     state
	placement *vstack.PlacementMap
	videos    map[vstack.VideoID]videoRow // of those that were asked for last
}

// maxVideos bounds the videos of which a snapshot remembers the class: every group refers to
// nearly every video.
const maxVideos = 64 << 10

// Snapshot takes one. Of a view that is broken it knows nothing.
func (f *Follower) Snapshot() *Snapshot {
	s := &Snapshot{f: f, state: state{Format: format}}
	if f.broken.Load() {
		return s
	}
	s.rows = f.db.NewSnapshot()
	if err := s.read(); err != nil {
		f.fail(err)
		s.state, s.placement = state{Format: format}, nil
	}
	return s
}

// read takes the state from the rows themselves: that in memory may be a batch behind.
func (s *Snapshot) read() error {
	b, err := get(s.rows, []byte{rowState})
	if err != nil || b == nil {
		return errors.Join(err, rotten("no state"))
	}
	if s.state, err = decodeState(b); err != nil {
		return err
	}
	s.placement, err = s.f.decoded.get(s.rows)
	return err
}

// Close gives back what the snapshot holds. Idempotent.
func (s *Snapshot) Close() {
	if s.rows == nil {
		return
	}
	if err := s.rows.Close(); err != nil {
		s.f.fail(fmt.Errorf("close a snapshot of the catalog view: %w", err))
	}
	s.rows = nil
}

// Index is how far the view has got. It says nothing of what is absent from it: see
// Complete.
func (s *Snapshot) Index() uint64 { return s.state.Index }

// Complete is the index through which every reference of a group is here, so that what is
// absent was not there: 0 while the group is read for the first time or again, and for a
// group that is not known.
func (s *Snapshot) Complete(pg vstack.PG) uint64 { return s.state.complete(pg) }

// Known lists, in order, the groups whose references are kept: those that a store of this
// host is or was a target of, until Forget.
func (s *Snapshot) Known() (groups []vstack.PG) {
	for pg := range s.state.Known.All {
		groups = append(groups, pg)
	}
	return groups
}

// Placement is the map, nil before the first; the caller must not change it.
func (s *Snapshot) Placement() *vstack.PlacementMap { return s.placement }

// References calls yield for every reference of a group, in the order of slots, whether a
// store of this host is still a target of it or not, until yield returns false. An error means
// that some may be missing; the process is about to end.
func (s *Snapshot) References(pg vstack.PG, yield func(Reference) bool) error {
	err := s.references(pg, yield)
	if err != nil {
		s.f.fail(err)
	}
	return err
}

func (s *Snapshot) references(pg vstack.PG, yield func(Reference) bool) error {
	if s.rows == nil {
		return rotten("its rows could not be read")
	}
	want, err := getCount(s.rows, pg)
	if err != nil {
		return err
	}
	var of vstack.VideoID
	var video videoRow
	var n uint64
	lower, upper := referencesOf(pg, nil)
	stopped := false
	err = each(s.rows, lower, upper, func(key, value []byte) (bool, error) {
		_, slot := placeOf(key)
		if n++; n == 1 || slot.Video != of {
			var err error
			if video, err = s.video(slot.Video); err != nil {
				return false, err
			}
			of = slot.Video
		}
		size, chunk, err := decodeReference(value)
		if err != nil {
			return false, err
		}
		stopped = !yield(video.reference(slot, chunk, size))
		return !stopped, nil
	})
	if err == nil && !stopped && n != want {
		err = rotten("group %d has %d references, want %d", pg, n, want)
	}
	return err
}

// reference is one of the video's.
func (v *videoRow) reference(slot vstack.Slot, chunk vstack.ChunkID, size uint32) Reference {
	r := Reference{Slot: slot, Chunk: chunk, Size: size, Class: v.class, ClassIndex: v.classIndex}
	if !v.scheme.IsZero() && !v.kept.Has(slot.Track, slot.Seq, size) {
		r.Scheme = v.scheme
	}
	return r
}

// video is a living video that a reference is of.
func (s *Snapshot) video(id vstack.VideoID) (videoRow, error) {
	if v, ok := s.videos[id]; ok {
		return v, nil
	}
	v, known, err := getVideo(s.rows, id)
	if err == nil && (!known || v.class == "") {
		err = rotten("references of video %s, which is not there", id)
	}
	if err != nil {
		return v, err
	}
	if s.videos == nil || len(s.videos) >= maxVideos {
		s.videos = map[vstack.VideoID]videoRow{}
	}
	s.videos[id] = v
	return v, nil
}

// ReferencesTo calls yield for every reference to a chunk in the known groups, as References
// does.
func (s *Snapshot) ReferencesTo(id vstack.ChunkID, yield func(Reference) bool) error {
	err := s.referencesTo(id, yield)
	if err != nil {
		s.f.fail(err)
	}
	return err
}

func (s *Snapshot) referencesTo(id vstack.ChunkID, yield func(Reference) bool) error {
	if s.rows == nil {
		return rotten("its rows could not be read")
	}
	lower := append([]byte{rowChunk}, id[:prefixLen]...)
	return each(s.rows, lower, after(lower), func(key, _ []byte) (bool, error) {
		pg, slot := placeOf(key)
		b, err := get(s.rows, referenceKey(pg, slot))
		if err != nil {
			return false, err
		}
		size, chunk, err := decodeReference(b)
		if err != nil || chunk != id {
			return true, err // another chunk whose name begins the same
		}
		video, err := s.video(slot.Video)
		if err != nil {
			return false, err
		}
		return yield(video.reference(slot, chunk, size)), nil
	})
}
