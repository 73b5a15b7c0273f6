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

	Total    int   `json:"total"`    // chunks to play, init chunks included
	Chunks   int   `json:"chunks"`   // handed to the sink
	Verified int   `json:"verified"` // of these, hashed to their name: all of them
	Bytes    int64 `json:"bytes"`
	Retries  int   `json:"retries"` // attempts that failed and were repeated elsewhere
	Hedges   int   `json:"hedges"`  // attempts started beside one that was late

	Latency   Percentiles    `json:"latency"` // of chunks: asked for to verified
	Stores    []StoreShare   `json:"stores"`  // who delivered, most bytes first
	Protocols map[string]int `json:"protocols"`
	Log       []ChunkRecord  `json:"log"` // every chunk, in the order handed on

	hist *hdrhistogram.Histogram // microseconds
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

func newReport(m *vstack.Manifest, opt Options, tracks []vstack.Track, media time.Duration) Report {
	r := Report{Video: m.Video, Speed: opt.Speed, Media: media.Seconds(), Protocols: make(map[string]int), hist: hdrhistogram.New(1, histMax, 3)}
	for _, t := range tracks {
		r.Tracks = append(r.Tracks, t.Number)
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

// summarize computes what needs all chunks.
func (r *Report) summarize() {
	at := func(q float64) float64 { return float64(r.hist.ValueAtQuantile(q)) / 1e6 }
	r.Latency = Percentiles{P50: at(50), P95: at(95), P99: at(99), Max: float64(r.hist.Max()) / 1e6}
	slices.SortStableFunc(r.Stores, func(a, b StoreShare) int { return cmp.Compare(b.Bytes, a.Bytes) })
}
