package viewing

import (
	"context"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// Outcome is how it went. Times are in seconds.
type Outcome struct {
	First     float64 // picture
	Stalls    float64
	StallTime float64
	ChunkP50  float64
	ChunkP95  float64
	ChunkP99  float64
	LateP95   float64 // of fragments, against when they were due
	LateMax   float64
	Goodput   float64 // bits a second, of the whole call
	Extra     float64 // part of the film's bytes that came twice
	Wire      float64 // what the links carried beyond the film's bytes, as a part of them
	Requests  float64 // a chunk
	SlowShare float64 // of the bytes, from the hosts that the scenario names
	Gap       float64 // the longest time without a byte while some were owed, from when a host vanished on
	Back      float64 // from when it returned to its first byte; -1: never
	Deviation float64 // of the hosts' bytes from what their rates would have them be, as a part of that
}

// Session is one viewer's playback.
type Session struct {
	Options quicclient.PlayOptions
	// Slow are the stores whose share of the bytes is told: those of the hosts that a
	// scenario makes worse, or that vanish.
	Slow map[vstack.StoreID]bool
	// Vanishes and Returns are when Slow are cut off and come back; 0 for never.
	Vanishes, Returns time.Duration
}

// Watch plays a film and says how that went.
func Watch(ctx context.Context, c *quicclient.Client, m *vstack.Manifest, v Session) (Outcome, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var look sampler
	var looking sync.WaitGroup
	if v.Vanishes > 0 {
		looking.Go(func() { look.run(watching, c, v) })
	}
	r, err := c.Play(ctx, m, v.Options)
	stop()
	looking.Wait()
	if err != nil {
		return Outcome{}, err
	}
	useful, extra := c.Spent()
	o := Outcome{
		First: r.Startup, Stalls: float64(r.Stalls), StallTime: r.StallTime,
		ChunkP50: r.Latency.P50, ChunkP95: r.Latency.P95, ChunkP99: r.Latency.P99, LateP95: r.Lateness.P95, LateMax: r.Lateness.Max,
		Goodput: float64(r.Bytes) * 8 / r.Elapsed, Extra: float64(extra) / float64(max(useful, 1)), Requests: float64(r.Requests) / float64(max(r.Chunks, 1)),
		Gap: look.gap.Seconds(), Back: look.back.Seconds(),
	}
	for _, st := range r.Stores {
		if v.Slow[st.Store] {
			o.SlowShare += float64(st.Bytes) / float64(r.Bytes)
		}
	}
	return o, nil
}

// sampler looks at a client's counters to see what no report tells.
type sampler struct {
	gap  time.Duration
	back time.Duration
}

// lookEvery is how exact it is.
const lookEvery = 5 * time.Millisecond

func (s *sampler) run(ctx context.Context, c *quicclient.Client, v Session) {
	began := time.Now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var before, goneBefore int64
	var since time.Duration // the last byte, or the last moment at which none was owed
	s.back = -time.Second
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := time.Since(began)
		var bytes, goneBytes, owed int64
		for _, sig := range c.Stores() {
			bytes += sig.Bytes
			owed += sig.Pending - sig.Ghosts
			if v.Slow[sig.Store] {
				goneBytes += sig.Bytes
			}
		}
		if bytes != before || owed == 0 {
			since = now
		}
		if now >= v.Vanishes && now < v.Returns {
			s.gap = max(s.gap, now-since)
		}
		if now > v.Returns && s.back < 0 && goneBytes > goneBefore {
			s.back = now - v.Returns
		}
		before, goneBefore = bytes, goneBytes
	}
}
