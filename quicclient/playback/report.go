package playback

import (
	"cmp"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/vstack/vstack/internal/vstack"
)

// Report is how a playback went. Times are in seconds.
type Report struct {
	Video  vstack.VideoID `json:"video"`
	Policy string         `json:"policy"`
	Tracks []uint16       `json:"tracks"`
	Speed  float64        `json:"speed"` // 0: as fast as possible

	Media     float64 `json:"media"`      // length of what was to be played
	Played    float64 `json:"played"`     // how far the position came
	Elapsed   float64 `json:"elapsed"`    // of the call
	Startup   float64 `json:"startup"`    // until every track had its first playable chunk
	Stalls    int     `json:"stalls"`     // after the start
	StallTime float64 `json:"stall_time"` // of all stalls
	// Buffer is the mean of the media that was there beyond the position, in seconds, while
	// it played and there was more to come; 0 when all came before that.
	Buffer   float64 `json:"buffer"`
	Seeks    int     `json:"seeks"`
	SeekTime float64 `json:"seek_time"` // from seeks to what was shown next, in all

	// Lateness is of fragments after the start: how long after they were due they came, 0
	// for those that were in time. Late counts the others; Slack is by how much the one
	// that was nearest to being late was in time.
	Lateness Percentiles `json:"lateness"`
	Late     int         `json:"late"`
	Slack    float64     `json:"slack"`

	Bitrate  float64 `json:"bitrate"`  // bits a second of media, of what was handed on
	Switches int     `json:"switches"` // of rendition

	Total    int   `json:"total"`    // chunks to play, init chunks included
	Chunks   int   `json:"chunks"`   // handed to the sink
	Verified int   `json:"verified"` // of these, hashed to their name: all of them
	Bytes    int64 `json:"bytes"`
	Retries  int   `json:"retries"` // attempts that failed and were repeated elsewhere
	Hedges   int   `json:"hedges"`  // attempts started beside one that was late, or that took a part over
	Requests int   `json:"requests"`
	// Liars are the stores that sent wrong bytes.
	Liars []vstack.StoreID `json:"liars,omitempty"`

	Latency   Percentiles    `json:"latency"` // of chunks: asked for to verified
	Stores    []StoreShare   `json:"stores"`  // who delivered, most bytes first
	Protocols map[string]int `json:"protocols"`
	Log       []ChunkRecord  `json:"log"` // every chunk, in the order handed on

	hist *hdrhistogram.Histogram // microseconds
	late *hdrhistogram.Histogram
}

// Percentiles of a latency, in seconds.
type Percentiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// StoreShare is what one store delivered to a playback.
type StoreShare struct {
	Store  vstack.StoreID `json:"store"`
	Host   vstack.HostID  `json:"host"`
	Addr   string         `json:"addr"`
	Bytes  int64          `json:"bytes"`
	Chunks int            `json:"chunks"` // delivered by it, alone or in part
}

// ChunkRecord is how one chunk of a playback came.
type ChunkRecord struct {
	Track   uint16         `json:"track"`
	Seq     uint32         `json:"seq"`
	Chunk   vstack.ChunkID `json:"chunk"`
	Size    uint32         `json:"size"`
	Store   vstack.StoreID `json:"store"`
	Proto   string         `json:"proto"`
	At      float64        `json:"at"`      // handed to the sink, since the call
	Latency float64        `json:"latency"` // asked for to verified
	TTFB    float64        `json:"ttfb"`
	Retries int            `json:"retries,omitempty"`
	Hedges  int            `json:"hedges,omitempty"`
}

// histMax bounds what the histogram tells apart: a minute, which is also when a fetch
// is given up.
const histMax = int64(time.Minute / time.Microsecond)

func newReport(m *vstack.Manifest, opt Options, lanes []*lane, media time.Duration) Report {
	r := Report{Video: m.Video, Speed: opt.Speed, Media: media.Seconds(), Protocols: make(map[string]int), hist: hdrhistogram.New(1, histMax, 3), late: hdrhistogram.New(1, histMax, 3), Slack: -1}
	for _, l := range lanes {
		r.Tracks = append(r.Tracks, l.number)
	}
	return r
}

// add takes a chunk that was handed on.
func (r *Report) add(it item, how Delivery, now time.Duration) ChunkRecord {
	rec := ChunkRecord{
		Track: it.slot.Track, Seq: it.ref.Seq, Chunk: it.ref.ID, Size: it.ref.Size,
		Store: how.Store, Proto: how.Proto, At: now.Seconds(),
		Latency: how.Elapsed.Seconds(), TTFB: how.TTFB.Seconds(), Retries: how.Retries, Hedges: how.Hedges,
	}
	r.Log = append(r.Log, rec)
	r.Chunks++
	r.Verified++ // a Fetch returns nothing else
	r.Bytes += int64(it.ref.Size)
	r.Retries += how.Retries
	r.Hedges += how.Hedges
	r.Requests += how.Asked
	for _, s := range how.Liars {
		if !slices.Contains(r.Liars, s) {
			r.Liars = append(r.Liars, s)
		}
	}
	// Beyond the bound the histogram would refuse the value, and lose the worst one.
	_ = r.hist.RecordValue(min(max(how.Elapsed.Microseconds(), 1), histMax))
	for _, s := range how.Sources {
		r.Protocols[s.Proto]++
		i := slices.IndexFunc(r.Stores, func(x StoreShare) bool { return x.Store == s.Store })
		if i < 0 {
			i = len(r.Stores)
			r.Stores = append(r.Stores, StoreShare{Store: s.Store})
		}
		r.Stores[i].Bytes += s.Bytes
		r.Stores[i].Chunks++
	}
	return rec
}

// lateness takes how late a fragment was, if that means anything.
func (r *Report) lateness(late time.Duration, counts bool) {
	if !counts {
		return
	}
	if late > 0 {
		r.Late++
		r.Slack = 0
	} else if s := -late.Seconds(); r.Slack < 0 || s < r.Slack {
		r.Slack = s
	}
	_ = r.late.RecordValue(min(max(late.Microseconds(), 0), histMax))
}

// summarize computes what needs all chunks.
func (r *Report) summarize() {
	r.Latency, r.Lateness = percentiles(r.hist), percentiles(r.late)
	r.Slack = max(r.Slack, 0)
	if r.Media > 0 {
		r.Bitrate = float64(r.Bytes) * 8 / r.Media
	}
	slices.SortStableFunc(r.Stores, func(a, b StoreShare) int { return cmp.Compare(b.Bytes, a.Bytes) })
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e6 }
	return Percentiles{P50: at(50), P95: at(95), P99: at(99), Max: float64(h.Max()) / 1e6}
}
