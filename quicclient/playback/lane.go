package playback

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// lane is one stream that plays: a track, or one of several renditions at a time.
type lane struct {
	number     uint16 // of its first track, by which the model knows it
	renditions []vstack.Track
	current    int     // of renditions: what is asked for next
	plan       []item  // not asked for yet, in order
	queue      []*call // asked for and not handed to the sink in full, in order
	begun      bool    // a media chunk has been asked for since the start or the last seek
	inits      map[uint16]bool
}

// item is one chunk of a playback.
type item struct {
	slot  vstack.Slot
	ref   vstack.ChunkRef
	track vstack.Track
	lane  int           // index in Player.lanes
	start time.Duration // media time; that of the first chunk for an init chunk
	end   time.Duration // media time; 0 for an init chunk
	last  bool          // of its track
	parts []part        // its fragments; one if they are not known
}

// part is a fragment: where its bytes and its media end.
type part struct {
	bytes      int
	start, end time.Duration
}

// call is a chunk that was asked for.
type call struct {
	item
	due    atomic.Int64 // since the playback began
	cancel context.CancelFunc
	ended  chan struct{} // closed with its fetch
	given  int           // parts handed on

	// The player's lock guards what comes from the fetch.
	head    []byte // proven
	done    bool
	data    []byte
	how     Delivery
	release func()
	err     error
}

// newLanes lays the tracks out; adaptive makes one lane of all video tracks.
func newLanes(m *vstack.Manifest, tracks []vstack.Track, adaptive bool) ([]*lane, error) {
	var lanes []*lane
	for _, t := range tracks {
		l := &lane{number: t.Number, renditions: []vstack.Track{t}, inits: map[uint16]bool{}}
		if adaptive && t.Kind == vstack.TrackVideo {
			for _, other := range m.Tracks {
				if other.Kind == vstack.TrackVideo && other.Number != t.Number && len(other.Chunks) > 0 && other.Timescale > 0 {
					l.renditions = append(l.renditions, other)
				}
			}
		}
		var err error
		if l.plan, err = lay(m.Video, t, len(lanes)); err != nil {
			return nil, err
		}
		lanes = append(lanes, l)
		if adaptive && t.Kind == vstack.TrackVideo {
			tracks = slices.DeleteFunc(slices.Clone(tracks), func(o vstack.Track) bool { return o.Kind == vstack.TrackVideo })
			adaptive = false // one such lane
			rest, err := restOf(m, tracks, len(lanes))
			return append(lanes, rest...), err
		}
	}
	return lanes, nil
}

// restOf lays out the tracks beside an adaptive lane.
func restOf(m *vstack.Manifest, tracks []vstack.Track, first int) (lanes []*lane, err error) {
	for _, t := range tracks {
		l := &lane{number: t.Number, renditions: []vstack.Track{t}, inits: map[uint16]bool{}}
		if l.plan, err = lay(m.Video, t, first+len(lanes)); err != nil {
			return nil, err
		}
		lanes = append(lanes, l)
	}
	return lanes, nil
}

// lay lists a track's chunks with their media times.
func lay(video vstack.VideoID, t vstack.Track, lane int) ([]item, error) {
	if len(t.Chunks) == 0 {
		return nil, fmt.Errorf("%w: track %d has no chunks", vstack.ErrInvalid, t.Number)
	}
	if t.Timescale == 0 && t.Kind != vstack.TrackOriginal {
		return nil, fmt.Errorf("%w: track %d has no timescale", vstack.ErrInvalid, t.Number)
	}
	at := func(ticks int64) time.Duration {
		return time.Duration(float64(ticks) / float64(max(t.Timescale, 1)) * float64(time.Second))
	}
	items := make([]item, 0, len(t.Chunks)+1)
	if !t.Init.ID.IsZero() {
		it := item{slot: vstack.Slot{Video: video, Track: t.Number, Seq: t.Init.Seq}, ref: t.Init, track: t, lane: lane, start: at(t.Chunks[0].Start)}
		it.parts = []part{{bytes: int(t.Init.Size), start: it.start}}
		items = append(items, it)
	}
	for i, c := range t.Chunks {
		it := item{
			slot: vstack.Slot{Video: video, Track: t.Number, Seq: c.Seq}, ref: c, track: t, lane: lane,
			start: at(c.Start), end: at(c.Start + c.Duration), last: i == len(t.Chunks)-1,
		}
		bytes, ticks := 0, c.Start
		for _, f := range c.Fragments {
			bytes += int(f.Size)
			it.parts = append(it.parts, part{bytes: bytes, start: at(ticks), end: at(ticks + f.Duration)})
			ticks += f.Duration
		}
		if bytes != int(c.Size) { // none are known, or they are not this chunk's
			it.parts = []part{{bytes: int(c.Size), start: it.start}}
		}
		it.parts[len(it.parts)-1].end = it.end
		items = append(items, it)
	}
	return items, nil
}

// nextOf is the lane whose next chunk comes first in the media; nil if all is asked for.
func nextOf(lanes []*lane) *lane {
	var best *lane
	for _, l := range lanes {
		if len(l.plan) == 0 {
			continue
		}
		if best == nil || compareItems(l.plan[0], best.plan[0]) < 0 {
			best = l
		}
	}
	return best
}

func compareItems(a, b item) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.slot.Seq, b.slot.Seq), cmp.Compare(a.lane, b.lane))
}

// from has a lane begin with the chunk that holds a media time, in its current rendition.
func (l *lane) from(video vstack.VideoID, at time.Duration, lane int) {
	t := l.renditions[l.current]
	items, err := lay(video, t, lane)
	if err != nil {
		return // it was laid out before, and nothing has changed
	}
	var init []item
	if items[0].end == 0 && !items[0].last {
		init, items = items[:1], items[1:]
	}
	i := slices.IndexFunc(items, func(it item) bool { return it.end > at })
	if i < 0 {
		i = len(items) - 1
	}
	items = items[i:]
	if len(init) > 0 && !l.inits[t.Number] {
		init[0].start = items[0].start
		items = append(slices.Clone(init), items...)
	}
	l.plan, l.begun = items, false
}
