package playback

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	defaultBuffer   = 30 * time.Second
	defaultInFlight = 4
	maxInFlight     = 64
)

// Sink takes a playback's chunks: of each track its init chunk first, then every chunk
// in order. Calls do not overlap; data is valid until Chunk returns. An error ends the
// playback.
type Sink interface {
	Chunk(ctx context.Context, track vstack.Track, ref vstack.ChunkRef, data []byte) error
}

// FragmentSink is a Sink that takes a chunk in parts, each a whole number of fragments, in
// the order of their bytes. last marks the end of the chunk. data is valid until Fragment
// returns; Chunk is not called.
type FragmentSink interface {
	Sink
	Fragment(ctx context.Context, track vstack.Track, ref vstack.ChunkRef, data []byte, last bool) error
}

// Command changes a playback that runs. Seek moves the position, which must lie in the
// media; a Speed above 0 is the new one.
type Command struct {
	Seek  bool
	To    time.Duration
	Speed float64
}

// Options says what to play and how. Zero values take their defaults.
type Options struct {
	// Tracks to play. Default: the first video track and the first audio track, or
	// whatever there is.
	Tracks []uint16
	// Speed is media seconds a second; 1 is what a person watches. 0 is as fast as
	// chunks can be verified, without a buffer model: nothing stalls.
	Speed float64
	// Buffer bounds how far ahead of the position chunks are asked for, in media time.
	// Default 30 s.
	Buffer time.Duration
	// InFlight bounds the chunks asked for and not yet handed to the sink. Default 4.
	InFlight int
	// Adaptive plays whichever of the video's renditions the links carry, from the first of
	// Tracks on: renditions are video tracks, and the playback changes between them where a
	// chunk of the next one starts with a keyframe.
	Adaptive bool
	// Commands change a playback that runs; nil for none.
	Commands <-chan Command
	// Sink takes the chunks. Default: they are verified and dropped. One that is also a
	// FragmentSink takes them by fragment, as soon as each is proven.
	Sink Sink
	// OnEvent hears of progress. It is called from the playback's goroutine, and
	// playback waits for it.
	OnEvent func(Event)
}

// EventKind says what happened in a playback.
type EventKind string

const (
	EventStarted EventKind = "started" // the first picture could be shown
	EventChunk   EventKind = "chunk"   // a chunk was verified and handed on
	EventStall   EventKind = "stall"
	EventResumed EventKind = "resumed"
	EventEnded   EventKind = "ended"
	EventSeek    EventKind = "seek"
	EventSwitch  EventKind = "switch" // to another rendition
	// EventPosition comes every quarter of a second of a playback at a speed, so that
	// who shows it has something to show while nothing else happens.
	EventPosition EventKind = "position"
)

// Event is one step of a playback.
type Event struct {
	Kind     EventKind
	Time     time.Duration // since the playback began
	Position time.Duration // in the media
	Buffered time.Duration // media delivered beyond Position, of the track with the least
	Chunk    ChunkRecord   // of EventChunk
	Track    uint16        // of EventSwitch
	Done     int           // chunks handed on
	Total    int           // chunks in all
}

// Delivery is how a verified chunk came.
type Delivery struct {
	Store   vstack.StoreID   // that delivered the most of it
	Sources []Source         // every store that delivered a part of it
	Proto   string           // of Store's answer: "h3", "http/1.1"
	TTFB    time.Duration    // request to first byte, of the first piece
	Elapsed time.Duration    // call to verified bytes
	Retries int              // attempts that failed before
	Hedges  int              // attempts started beside one that was late, or that took over a part
	Asked   int              // requests
	Liars   []vstack.StoreID // stores that sent wrong bytes
}

// Source is what one store delivered of a chunk.
type Source struct {
	Store vstack.StoreID
	Proto string
	Bytes int64
}

// Ask is a chunk that a playback needs. Times are since the playback began.
type Ask struct {
	Slot vstack.Slot
	Ref  vstack.ChunkRef
	// Due is when its first byte is needed; it changes while the playback does.
	Due func() time.Duration
	// Paces are how much later each of its fragments is needed.
	Paces []time.Duration
	// Progress takes the proven head whenever it has grown.
	Progress func(head []byte)
}

// Fetch returns the verified bytes of a chunk. The player calls release when it is done
// with them, and with what Progress was given.
type Fetch func(ctx context.Context, ask Ask) (data []byte, how Delivery, release func(), err error)

func (o *Options) validate() error {
	if o.Buffer == 0 {
		o.Buffer = defaultBuffer
	}
	if o.InFlight == 0 {
		o.InFlight = defaultInFlight
	}
	switch {
	case o.Speed < 0 || math.IsNaN(o.Speed) || math.IsInf(o.Speed, 0):
		return fmt.Errorf("%w: speed %v", vstack.ErrInvalid, o.Speed)
	case o.Buffer < 0:
		return fmt.Errorf("%w: buffer of %v", vstack.ErrInvalid, o.Buffer)
	case o.InFlight < 0 || o.InFlight > maxInFlight:
		return fmt.Errorf("%w: %d chunks in flight, at most %d", vstack.ErrInvalid, o.InFlight, maxInFlight)
	}
	return nil
}

// selectTracks finds the tracks to play.
func selectTracks(m *vstack.Manifest, numbers []uint16) ([]vstack.Track, error) {
	var out []vstack.Track
	if len(numbers) == 0 {
		for _, kind := range []vstack.TrackKind{vstack.TrackVideo, vstack.TrackAudio} {
			if i := slices.IndexFunc(m.Tracks, func(t vstack.Track) bool { return t.Kind == kind }); i >= 0 {
				out = append(out, m.Tracks[i])
			}
		}
		if len(out) == 0 {
			out = m.Tracks
		}
	}
	for _, n := range numbers {
		i := slices.IndexFunc(m.Tracks, func(t vstack.Track) bool { return t.Number == n })
		switch {
		case i < 0:
			return nil, fmt.Errorf("%w: the video has no track %d", vstack.ErrInvalid, n)
		case slices.ContainsFunc(out, func(t vstack.Track) bool { return t.Number == n }):
			return nil, fmt.Errorf("%w: track %d is named twice", vstack.ErrInvalid, n)
		}
		out = append(out, m.Tracks[i])
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: the video has no tracks", vstack.ErrInvalid)
	}
	return out, nil
}
