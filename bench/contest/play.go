package contest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/bench/virtual/site"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// Run is one film under one policy.
type Run struct {
	Scenario Scenario
	Policy   string
	Film     *site.Film
	Buffer   time.Duration
	Seed     uint64
	Traces   []Trace
	Dir      string // for certificates
}

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

// Play runs a film in the bubble that it is called in.
func Play(ctx context.Context, run Run) (Outcome, error) {
	r := rand.New(rand.NewPCG(run.Seed, 7))
	n := run.Scenario.links(r, run.Traces)
	s, err := site.Open(site.Config{Dir: run.Dir, Seed: run.Seed, Hosts: n.hosts, Up: n.up, Down: n.down})
	if err != nil {
		return Outcome{}, err
	}
	defer s.Close()
	s.PutFilm(run.Film.Manifest, run.Film)
	var outs []Outcome
	var errs []error
	var mu sync.Mutex
	var viewers sync.WaitGroup
	for i := range max(run.Scenario.Clients, 1) {
		at := s.Viewer
		if i > 0 {
			if at, err = s.AddViewer(); err != nil {
				return Outcome{}, err
			}
		}
		// Viewers come one after the other, within the first seconds.
		wait := time.Duration(0)
		if run.Scenario.Clients > 1 {
			wait = time.Duration(r.Int64N(int64(4 * time.Second)))
		}
		viewers.Go(func() {
			time.Sleep(wait)
			o, err := watch(ctx, s, at, run, n)
			mu.Lock()
			defer mu.Unlock()
			outs, errs = append(outs, o), append(errs, err)
		})
	}
	viewers.Wait()
	o := mean(outs)
	o.Wire, o.Deviation = wire(s, run, n, len(outs))
	return o, errors.Join(errs...)
}

// watch is one viewer.
func watch(ctx context.Context, s *site.Site, at *virtual.Host, run Run, n layout) (Outcome, error) {
	p, err := quicclient.PolicyByName(run.Policy)
	if err != nil {
		return Outcome{}, err
	}
	c, err := s.Client(func(cfg *quicclient.Config) { cfg.Policy, cfg.Network = p, at })
	if err != nil {
		return Outcome{}, err
	}
	defer c.Close()
	opt := quicclient.PlayOptions{Speed: 1, Buffer: run.Buffer, Sink: &check{film: run.Film}}
	if run.Scenario.Download {
		opt.Speed = 0
	}
	slow := map[vstack.StoreID]bool{}
	for _, h := range n.slowStores {
		for _, st := range s.Stores {
			slow[st.ID] = slow[st.ID] || st.Host == h
		}
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var look sampler
	var looking sync.WaitGroup
	if run.Scenario.vanishes > 0 {
		looking.Go(func() { look.run(watching, c, run.Scenario, slow) })
	}
	r, err := c.Play(ctx, run.Film.Manifest, opt)
	stop()
	looking.Wait()
	if err != nil {
		return Outcome{}, fmt.Errorf("%s under %s, seed %d: %w", run.Scenario.Name, run.Policy, run.Seed, err)
	}
	useful, extra := c.Spent()
	o := Outcome{
		First: r.Startup, Stalls: float64(r.Stalls), StallTime: r.StallTime,
		ChunkP50: r.Latency.P50, ChunkP95: r.Latency.P95, ChunkP99: r.Latency.P99, LateP95: r.Lateness.P95, LateMax: r.Lateness.Max,
		Goodput: float64(r.Bytes) * 8 / r.Elapsed, Extra: float64(extra) / float64(max(useful, 1)), Requests: float64(r.Requests) / float64(max(r.Chunks, 1)),
		Gap: look.gap.Seconds(), Back: look.back.Seconds(),
	}
	for _, st := range r.Stores {
		if slow[st.Store] {
			o.SlowShare += float64(st.Bytes) / float64(r.Bytes)
		}
	}
	return o, nil
}

// check wants the film's own bytes, in order.
type check struct {
	film *site.Film
	at   int
}

// Chunk implements quicclient.Sink.
func (k *check) Chunk(_ context.Context, _ vstack.Track, ref vstack.ChunkRef, data []byte) error {
	return k.compare(ref, data, true)
}

// Fragment implements quicclient.FragmentSink.
func (k *check) Fragment(_ context.Context, _ vstack.Track, ref vstack.ChunkRef, data []byte, last bool) error {
	return k.compare(ref, data, last)
}

func (k *check) compare(ref vstack.ChunkRef, data []byte, last bool) error {
	want := k.film.Data[ref.ID]
	if k.at+len(data) > len(want) || string(data) != string(want[k.at:k.at+len(data)]) || last != (k.at+len(data) == len(want)) {
		return fmt.Errorf("chunk %d at %d: %w: %d bytes that are not the film's", ref.Seq, k.at, vstack.ErrHashMismatch, len(data))
	}
	if k.at += len(data); last {
		k.at = 0
	}
	return nil
}

// sampler looks at a client's counters to see what no report tells.
type sampler struct {
	gap  time.Duration
	back time.Duration
}

// lookEvery is how exact it is.
const lookEvery = 5 * time.Millisecond

func (s *sampler) run(ctx context.Context, c *quicclient.Client, sc Scenario, gone map[vstack.StoreID]bool) {
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
			if gone[sig.Store] {
				goneBytes += sig.Bytes
			}
		}
		if bytes != before || owed == 0 {
			since = now
		}
		if now >= sc.vanishes && now < sc.returns {
			s.gap = max(s.gap, now-since)
		}
		if now > sc.returns && s.back < 0 && goneBytes > goneBefore {
			s.back = now - sc.returns
		}
		before, goneBefore = bytes, goneBytes
	}
}

// wire is what the hosts' links carried beyond what was shown, and how far the hosts'
// bytes are from their rates.
func wire(s *site.Site, run Run, n layout, viewers int) (over, deviation float64) {
	var film float64
	for _, ref := range run.Film.Manifest.Slots {
		film += float64(ref.Size) * float64(viewers)
	}
	var carried, rates float64
	var bytes []float64
	for i, h := range s.Hosts {
		up, _ := h.Stats()
		carried += float64(up.Bytes)
		bytes = append(bytes, float64(up.Bytes))
		rates += n.hosts[i].Up.Rate
	}
	var worst float64
	for i, b := range bytes {
		if fair := carried * n.hosts[i].Up.Rate / rates; fair > 0 {
			worst = max(worst, max(b, fair)/fair-min(b, fair)/fair)
		}
	}
	return carried/film - 1, worst
}
