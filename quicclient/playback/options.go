package playback

import (
	"cmp"
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
	// Sink takes the chunks. Default: they are verified and dropped.
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
	Done     int           // chunks handed on
	Total    int           // chunks in all
}

// Delivery is how a verified chunk came.
type Delivery struct {
	Store   vstack.StoreID // that delivered the most of it
	Sources []Source       // every store that delivered a part of it
	Proto   string         // of Store's answer: "h3", "http/1.1"
	TTFB    time.Duration  // request to first byte, of the first piece
	Elapsed time.Duration  // call to verified bytes
	Retries int            // attempts that failed before
	Hedges  int            // attempts started beside one that was late
}

// Source is what one store delivered of a chunk.
type Source struct {
	Store vstack.StoreID
	Proto string
	Bytes int64
}

// Fetch returns the verified bytes of a chunk that is needed at due, which is measured
// from the start of the playback. The player calls release when it is done with data.
type Fetch func(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef, due time.Duration) (data []byte, how Delivery, release func(), err error)

// New checks the options and lays the chunks of the tracks out in playing order. now is
// the time since the playback began; Run and it are the only ones to use fetch.
//
// Errors: ErrInvalid for options or a manifest that make no sense.
func New(m *vstack.Manifest, opt Options, fetch Fetch, now func() time.Duration) (*Player, error) {
	if err := opt.validate(); err != nil {
		return nil, err
	}
	tracks, err := selectTracks(m, opt.Tracks)
	if err != nil {
		return nil, err
	}
	p := &Player{opt: opt, fetch: fetch, now: now, tracks: tracks, ready: make([]map[uint32]result, len(tracks)), queue: make([][]item, len(tracks))}
	start, media := time.Duration(math.MaxInt64), time.Duration(0)
	for i, t := range tracks {
		items, err := lay(m.Video, t, i)
		if err != nil {
			return nil, err
		}
		p.queue[i] = items
		p.items = append(p.items, items...)
		p.ready[i] = make(map[uint32]result)
		start, media = min(start, items[0].start), max(media, items[len(items)-1].end)
	}
	slices.SortStableFunc(p.items, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.slot.Seq, b.slot.Seq), cmp.Compare(a.track, b.track))
	})
	for t := range tracks {
		first := slices.IndexFunc(p.items, func(it item) bool { return it.track == t && (it.end > 0 || it.last) })
		p.starters = max(p.starters, first+1)
	}
	p.model = newModel(opt.Speed, start, media)
	for _, t := range tracks {
		p.model.expect(t.Number)
	}
	p.report = newReport(m, opt, tracks, media-start)
	p.report.Total = len(p.items)
	return p, nil
}

// Slots calls yield for every chunk that will be played, in playing order.
func (p *Player) Slots(yield func(vstack.Slot) bool) {
	for _, it := range p.items {
		if !yield(it.slot) {
			return
		}
	}
}

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

// item is one chunk of a playback.
type item struct {
	slot  vstack.Slot
	ref   vstack.ChunkRef
	track int           // index in Player.tracks
	start time.Duration // media time; that of the first chunk for an init chunk
	end   time.Duration // media time; 0 for an init chunk
	last  bool          // of its track
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

// lay lists a track's chunks with their media times.
func lay(video vstack.VideoID, t vstack.Track, index int) ([]item, error) {
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
		items = append(items, item{
			slot: vstack.Slot{Video: video, Track: t.Number, Seq: t.Init.Seq}, ref: t.Init, track: index, start: at(t.Chunks[0].Start),
		})
	}
	for i, c := range t.Chunks {
		items = append(items, item{
			slot: vstack.Slot{Video: video, Track: t.Number, Seq: c.Seq}, ref: c, track: index,
			start: at(c.Start), end: at(c.Start + c.Duration), last: i == len(t.Chunks)-1,
		})
	}
	return items, nil
}
