package contest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/viewing"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/bench/virtual/site"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// Run is one film under one policy.
type Run struct {
	Scenario scenario.Scenario
	Policy   string
	Film     *site.Film
	Buffer   time.Duration
	Seed     uint64
	Traces   []scenario.Trace
	Dir      string // for certificates
	// Typed asks the catalog first, as a command does that knows nothing but its address; what
	// that takes is a part of the time to the first picture.
	Typed bool
	// Again has a client read the film's beginning before, whose sessions the one that plays has.
	Again bool
}

// Play runs a film in the bubble that it is called in.
func Play(ctx context.Context, run Run) (viewing.Outcome, error) {
	r := scenario.Rand(run.Seed)
	n := run.Scenario.Draw(r, run.Traces)
	s, err := site.Open(site.Config{Dir: run.Dir, Seed: run.Seed, Hosts: hosts(n), Up: n.Up, Down: n.Down})
	if err != nil {
		return viewing.Outcome{}, err
	}
	defer s.Close()
	s.PutFilm(run.Film.Manifest, run.Film)
	if run.Typed {
		if err := s.Catalog(ctx, run.Film.Manifest); err != nil {
			return viewing.Outcome{}, err
		}
	}
	var outs []viewing.Outcome
	var errs []error
	var mu sync.Mutex
	var viewers sync.WaitGroup
	for i := range max(run.Scenario.Clients, 1) {
		at := s.Viewer
		if i > 0 {
			if at, err = s.AddViewer(); err != nil {
				return viewing.Outcome{}, err
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
	o := viewing.Mean(outs)
	o.Wire, o.Deviation = wire(s, run, n, len(outs))
	return o, errors.Join(errs...)
}

// hosts are those of a layout, with two stores each.
func hosts(n scenario.Layout) (out []site.HostConfig) {
	for _, h := range n.Hosts {
		out = append(out, site.HostConfig{Up: h.Up, Down: h.Down, Stores: 2, Disk: h.Disk})
	}
	return out
}

// watch is one viewer.
func watch(ctx context.Context, s *site.Site, at *virtual.Host, run Run, n scenario.Layout) (viewing.Outcome, error) {
	p, err := quicclient.PolicyByName(run.Policy)
	if err != nil {
		return viewing.Outcome{}, err
	}
	sessions := quicclient.NewSessions()
	if run.Again {
		if err := leaveSessions(ctx, s, at, run, sessions); err != nil {
			return viewing.Outcome{}, err
		}
	}
	began, film, places := time.Now(), run.Film.Manifest, s.Placement
	if run.Typed {
		meta, err := metaclient.New(metaclient.Config{Endpoints: []string{s.CatalogAddr}, TLS: s.TLS(), Network: at})
		if err != nil {
			return viewing.Outcome{}, err
		}
		defer meta.Close()
		if film, err = ask(ctx, meta, film.Video); err != nil {
			return viewing.Outcome{}, err
		}
		places = meta.Placement
	}
	asked := time.Since(began)
	c, err := s.Client(func(cfg *quicclient.Config) {
		cfg.Policy, cfg.Network, cfg.Sessions, cfg.Placement = p, at, sessions, places
	})
	if err != nil {
		return viewing.Outcome{}, err
	}
	defer c.Close()
	opt := quicclient.PlayOptions{Speed: 1, Buffer: run.Buffer, Sink: &check{run.Film, map[uint16]int{}}}
	if run.Scenario.Download {
		opt.Speed = 0
	}
	slow := map[vstack.StoreID]bool{}
	for _, h := range n.Slow {
		for _, st := range s.Stores {
			slow[st.ID] = slow[st.ID] || st.Host == h
		}
	}
	o, err := viewing.Watch(ctx, c, film, viewing.Session{Options: opt, Slow: slow, Vanishes: run.Scenario.Vanishes, Returns: run.Scenario.Returns})
	if err != nil {
		return viewing.Outcome{}, fmt.Errorf("%s under %s, seed %d: %w", run.Scenario.Name, run.Policy, run.Seed, err)
	}
	o.First += asked.Seconds()
	return o, nil
}

// ask asks the catalog for all that a playback begins with, at once, as the command does.
func ask(ctx context.Context, meta *metaclient.Client, id vstack.VideoID) (m *vstack.Manifest, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { _, err := meta.Placement(ctx); return err })
	g.Go(func() error { _, err := meta.Video(ctx, id); return err })
	g.Go(func() (err error) { m, err = meta.Manifest(ctx, id); return err })
	return m, g.Wait()
}

// leaveSessions reads the film's first chunks, so that every store that holds one of them has
// given what the next connection needs.
func leaveSessions(ctx context.Context, s *site.Site, at *virtual.Host, run Run, sessions *quicclient.Sessions) error {
	c, err := s.Client(func(cfg *quicclient.Config) { cfg.Network, cfg.Sessions = at, sessions })
	if err != nil {
		return err
	}
	for slot, ref := range run.Film.Manifest.Slots {
		if slot.Seq > sessionChunks {
			continue
		}
		if _, err := c.Fetch(ctx, slot, ref); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return c.Close()
}

// sessionChunks is how many of a track's chunks leaveSessions reads.
const sessionChunks = 6

// check wants the film's own bytes, of each track in order.
type check struct {
	film *site.Film
	at   map[uint16]int // bytes that came of the chunk under way, by track
}

// Chunk implements quicclient.Sink.
func (k *check) Chunk(_ context.Context, t vstack.Track, ref vstack.ChunkRef, data []byte) error {
	return k.compare(t, ref, data, true)
}

// Fragment implements quicclient.FragmentSink.
func (k *check) Fragment(_ context.Context, t vstack.Track, ref vstack.ChunkRef, data []byte, last bool) error {
	return k.compare(t, ref, data, last)
}

func (k *check) compare(t vstack.Track, ref vstack.ChunkRef, data []byte, last bool) error {
	want, at := k.film.Data[ref.ID], k.at[t.Number]
	if at+len(data) > len(want) || string(data) != string(want[at:at+len(data)]) || last != (at+len(data) == len(want)) {
		return fmt.Errorf("chunk %d at %d: %w: %d bytes that are not the film's", ref.Seq, at, vstack.ErrHashMismatch, len(data))
	}
	if k.at[t.Number] += len(data); last {
		k.at[t.Number] = 0
	}
	return nil
}

// wire is what the hosts' links carried beyond what was shown, and how far the hosts'
// bytes are from their rates.
func wire(s *site.Site, run Run, n scenario.Layout, viewers int) (over, deviation float64) {
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
		rates += n.Hosts[i].Up.Rate
	}
	var worst float64
	for i, b := range bytes {
		if fair := carried * n.Hosts[i].Up.Rate / rates; fair > 0 {
			worst = max(worst, max(b, fair)/fair-min(b, fair)/fair)
		}
	}
	return carried/film - 1, worst
}
