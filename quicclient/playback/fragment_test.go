package playback

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// growing brings a chunk's fragments one every so often.
type growing struct {
	every time.Duration
	mu    sync.Mutex
	asked []vstack.Slot
	paces []time.Duration
}

func (g *growing) fetch(ctx context.Context, ask Ask) ([]byte, Delivery, func(), error) {
	g.mu.Lock()
	g.asked, g.paces = append(g.asked, ask.Slot), ask.Paces
	g.mu.Unlock()
	data := make([]byte, ask.Ref.Size)
	at := 0
	for _, f := range ask.Ref.Fragments {
		select {
		case <-time.After(g.every):
		case <-ctx.Done():
			return nil, Delivery{}, nil, ctx.Err()
		}
		at += int(f.Size)
		ask.Progress(data[:at])
	}
	if len(ask.Ref.Fragments) == 0 {
		time.Sleep(g.every)
	}
	return data, Delivery{}, func() {}, nil
}

// cut makes each chunk of a film four fragments of half a second.
func cut(m *vstack.Manifest) *vstack.Manifest {
	for t := range m.Tracks {
		for c := range m.Tracks[t].Chunks {
			for range 4 {
				f := vstack.Fragment{Size: m.Tracks[t].Chunks[c].Size / 4, Duration: 500}
				m.Tracks[t].Chunks[c].Fragments = append(m.Tracks[t].Chunks[c].Fragments, f)
			}
			m.Tracks[t].Chunks[c].Keyframe = true
		}
	}
	return m
}

// oneTrack keeps the first track alone, without its init chunk.
func oneTrack(m *vstack.Manifest) *vstack.Manifest {
	m.Tracks = m.Tracks[:1]
	m.Tracks[0].Init = vstack.ChunkRef{}
	return m
}

// parts is a sink that takes fragments.
type parts struct{ got []string }

func (p *parts) Chunk(context.Context, vstack.Track, vstack.ChunkRef, []byte) error {
	panic("a sink of fragments was given a chunk")
}

func (p *parts) Fragment(_ context.Context, t vstack.Track, c vstack.ChunkRef, data []byte, last bool) error {
	p.got = append(p.got, fmt.Sprintf("%d/%d %d %v", t.Number, c.Seq, len(data), last))
	return nil
}

func (g *growing) play(t *testing.T, m *vstack.Manifest, opt Options) Report {
	t.Helper()
	began := time.Now()
	p, err := New(m, opt, g.fetch, func() time.Duration { return time.Since(began) })
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPlaybackStartsWithTheFirstFragment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, sink := &growing{every: 100 * time.Millisecond}, &parts{}
		r := g.play(t, oneTrack(cut(film(3))), Options{Speed: 1, Sink: sink})
		if r.Startup != 0.1 || r.Stalls != 0 {
			t.Errorf("started after %v s, %d stalls; want the first of four fragments", r.Startup, r.Stalls)
		}
		want := []string{"1/1 250 false", "1/1 250 false", "1/1 250 false", "1/1 250 true"}
		if len(sink.got) != 12 || !slices.Equal(sink.got[:4], want) {
			t.Errorf("the sink got %v", sink.got)
		}
		if !slices.Equal(g.paces, []time.Duration{0, sec / 2, sec, 3 * sec / 2}) {
			t.Errorf("paces %v", g.paces)
		}
	})
}

func TestLatenessIsCountedAgainstDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Each fragment of half a second takes 600 ms: every one after the first is late.
		g := &growing{every: 600 * time.Millisecond}
		r := g.play(t, oneTrack(cut(film(2))), Options{Speed: 1, InFlight: 1})
		if r.Stalls != 7 || r.Late != 7 || r.Lateness.Max < 0.099 || r.Lateness.Max > 0.102 || r.Slack != 0 {
			t.Errorf("%d stalls, %d late, at most %v s, slack %v", r.Stalls, r.Late, r.Lateness.Max, r.Slack)
		}
		g = &growing{every: 50 * time.Millisecond}
		if r := g.play(t, oneTrack(cut(film(2))), Options{Speed: 1}); r.Late != 0 || r.Lateness.Max > 0.001 || r.Slack <= 0 {
			t.Errorf("in time: %d late, at most %v s, slack %v", r.Late, r.Lateness.Max, r.Slack)
		}
	})
}

func TestASinkOfChunksGetsThemWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, sink := &growing{every: 100 * time.Millisecond}, &record{}
		r := g.play(t, oneTrack(cut(film(3))), Options{Speed: 1, Sink: sink})
		if r.Startup != 0.4 || len(sink.slots) != 3 {
			t.Errorf("started after %v s with %v", r.Startup, sink.slots)
		}
	})
}

func TestSeekGoesOnFromThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, sink := &growing{every: 100 * time.Millisecond}, &parts{}
		commands := make(chan Command)
		go func() {
			time.Sleep(3 * time.Second)
			commands <- Command{Seek: true, To: 31 * time.Second}
		}()
		began := time.Now()
		r := g.play(t, oneTrack(cut(film(20))), Options{Speed: 1, Buffer: 4 * time.Second, Sink: sink, Commands: commands})
		// 3 s watched, then the chunk from 30 s on, of which the position is in the middle.
		if took := time.Since(began); took < 12*time.Second || took > 12500*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if r.Seeks != 1 || r.SeekTime <= 0 || r.SeekTime > 0.5 || r.Stalls != 0 {
			t.Errorf("%d seeks of %v s, %d stalls", r.Seeks, r.SeekTime, r.Stalls)
		}
		if slices.ContainsFunc(sink.got, func(s string) bool { return len(s) > 5 && s[:5] == "1/10 " }) || !slices.Contains(sink.got, "1/16 250 false") {
			t.Errorf("the sink got %v", sink.got)
		}
	})
}

func TestSpeedChangesWhileItPlays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &growing{every: time.Millisecond}
		commands := make(chan Command)
		go func() {
			time.Sleep(10 * time.Second)
			commands <- Command{Speed: 2}
		}()
		began := time.Now()
		g.play(t, oneTrack(cut(film(20))), Options{Speed: 1, Commands: commands})
		if took := time.Since(began); took < 25*time.Second || took > 25200*time.Millisecond {
			t.Errorf("40 s of media, 10 of them at once and the rest twice as fast, took %v", took)
		}
	})
}

func TestRenditionsFollowTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := oneTrack(cut(film(30)))
		high := m.Tracks[0]
		high.Number, high.Chunks = 2, slices.Clone(high.Chunks)
		for i := range high.Chunks {
			high.Chunks[i].ID[5], high.Chunks[i].Size = 9, 8000
			high.Chunks[i].Fragments = nil
		}
		m.Tracks = append(m.Tracks, high)
		// 1,000 bytes of two seconds are 4 kbit/s, 8,000 are 32; what a source brings
		// decides.
		for _, c := range []struct {
			name     string
			every    time.Duration
			high     bool
			switches int
		}{{"much", 20 * time.Millisecond, true, 1}, {"little", 400 * time.Millisecond, false, 0}} {
			g := &growing{every: c.every}
			r := g.play(t, m, Options{Speed: 1, Adaptive: true, InFlight: 1})
			if r.Switches != c.switches || r.Stalls > 0 || r.Chunks != 30 {
				t.Errorf("%s: %d switches, %d stalls, %d chunks", c.name, r.Switches, r.Stalls, r.Chunks)
			}
			got := g.asked[len(g.asked)-1].Track == 2
			if got != c.high {
				t.Errorf("%s: the last chunk was of track %d", c.name, g.asked[len(g.asked)-1].Track)
			}
		}
	})
}

func TestChooseIsCarefulWithLittleBuffer(t *testing.T) {
	rates := []float64{1e6, 3e6, 6e6}
	for _, c := range []struct {
		current  int
		rate     float64 // bits a second
		buffered time.Duration
		want     int
	}{
		{0, 0, 0, 0}, {0, 4e6, 0, 0}, {0, 4e6, 20 * sec, 1}, {0, 10e6, 3 * sec, 2}, {2, 5.5e6, 12 * sec, 2},
		{2, 5.5e6, 3 * sec, 1}, {2, 0.5e6, 20 * sec, 0}, {1, 6.5e6, 25 * sec, 2},
	} {
		if got := choose(rates, c.current, c.rate/8, c.buffered); got != c.want {
			t.Errorf("%+v: chose %d", c, got)
		}
	}
}
