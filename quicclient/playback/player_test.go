package playback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// film has n chunks of two seconds in each of two tracks, with init chunks.
func film(n int) *vstack.Manifest {
	m := &vstack.Manifest{Version: 1, Video: vstack.VideoID{1}, Duration: float64(2 * n)}
	for number, kind := range []vstack.TrackKind{vstack.TrackVideo, vstack.TrackAudio} {
		t := vstack.Track{Number: uint16(number + 1), Kind: kind, Timescale: 1000, Init: ref(uint16(number), 0)}
		for i := range n {
			c := ref(uint16(number), uint32(i+1))
			c.Start, c.Duration = int64(i)*2000, 2000
			t.Chunks = append(t.Chunks, c)
		}
		m.Tracks = append(m.Tracks, t)
	}
	return m
}

func ref(track uint16, seq uint32) vstack.ChunkRef {
	return vstack.ChunkRef{Seq: seq, ID: vstack.ChunkID{byte(track) + 1, byte(seq)}, Size: 1000}
}

// source is where chunks come from: takes says how long each does.
type source struct {
	takes func(slot vstack.Slot) (time.Duration, error)

	mu             sync.Mutex
	inFlight, most int
	asked          []vstack.Slot
	due            map[vstack.Slot]time.Duration
	released       int
}

func (s *source) fetch(ctx context.Context, ask Ask) ([]byte, Delivery, func(), error) {
	slot, r, due := ask.Slot, ask.Ref, ask.Due()
	s.mu.Lock()
	s.asked = append(s.asked, slot)
	if s.due == nil {
		s.due = map[vstack.Slot]time.Duration{}
	}
	s.due[slot] = due
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.mu.Unlock()
	d, err := s.takes(slot)
	select {
	case <-time.After(d):
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	release := func() { s.mu.Lock(); defer s.mu.Unlock(); s.released++ }
	how := Delivery{Store: vstack.StoreID{1}, Proto: "h3", Elapsed: d, Sources: []Source{{vstack.StoreID{1}, "h3", int64(r.Size)}}}
	data := make([]byte, r.Size)
	copy(data, slot.String())
	return data, how, release, err
}

func play(t *testing.T, m *vstack.Manifest, opt Options, s *source) (Report, error) {
	t.Helper()
	began := time.Now()
	p, err := New(m, opt, s.fetch, func() time.Duration { return time.Since(began) })
	if err != nil {
		t.Fatal(err)
	}
	return p.Run(t.Context())
}

func always(d time.Duration) func(vstack.Slot) (time.Duration, error) {
	return func(vstack.Slot) (time.Duration, error) { return d, nil }
}

type record struct {
	slots []string
	bad   string
}

func (r *record) Chunk(_ context.Context, t vstack.Track, c vstack.ChunkRef, data []byte) error {
	slot := vstack.Slot{Video: vstack.VideoID{1}, Track: t.Number, Seq: c.Seq}
	if string(bytes.TrimRight(data, "\x00")) != slot.String() {
		r.bad = fmt.Sprintf("%s for slot %s", data, slot)
	}
	r.slots = append(r.slots, fmt.Sprintf("%d/%d", t.Number, c.Seq))
	return nil
}

// ofTrack lists what the sink got of a track.
func (r *record) ofTrack(n uint16) (out []string) {
	for _, s := range r.slots {
		if s[0] == byte('0'+n) {
			out = append(out, s)
		}
	}
	return out
}

func TestPlayerTakesAsLongAsTheMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := &source{takes: always(100 * time.Millisecond)}, &record{}
		var kinds []EventKind
		ticks := 0
		r, err := play(t, film(30), Options{Speed: 1, Sink: sink, OnEvent: func(e Event) {
			if e.Kind == EventPosition {
				ticks++
			} else if e.Kind != EventChunk {
				kinds = append(kinds, e.Kind)
			}
		}}, s)
		if err != nil {
			t.Fatal(err)
		}
		// Four at a time: init and first chunk of both tracks arrive together.
		if r.Startup != 0.1 || r.Stalls != 0 || r.StallTime != 0 {
			t.Errorf("startup %v, %d stalls of %v", r.Startup, r.Stalls, r.StallTime)
		}
		if r.Elapsed < 60.1 || r.Elapsed > 60.11 || r.Played != 60 || r.Media != 60 {
			t.Errorf("took %v for %v of %v", r.Elapsed, r.Played, r.Media)
		}
		if !slices.Equal(kinds, []EventKind{EventStarted, EventEnded}) {
			t.Errorf("events %v", kinds)
		}
		if ticks < 235 || ticks > 241 {
			t.Errorf("position told %d times in a minute", ticks)
		}
		if r.Chunks != 62 || r.Verified != 62 || r.Bytes != 62_000 || r.Protocols["h3"] != 62 || s.released != 62 {
			t.Errorf("%d chunks, %d verified, %d bytes, %v, %d released", r.Chunks, r.Verified, r.Bytes, r.Protocols, s.released)
		}
		if r.Latency.P50 < 0.0999 || r.Latency.P99 > 0.1001 {
			t.Errorf("latency %+v", r.Latency)
		}
		if s.most > 4 {
			t.Errorf("%d chunks in flight", s.most)
		}
		if sink.bad != "" {
			t.Error(sink.bad)
		}
	})
}

func TestPlayerAsksNoFurtherAheadThanTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: always(time.Millisecond)}
		most := time.Duration(0)
		if _, err := play(t, film(60), Options{Speed: 1, Buffer: 10 * time.Second, OnEvent: func(e Event) {
			most = max(most, e.Buffered)
		}}, s); err != nil {
			t.Fatal(err)
		}
		if most < 9*time.Second || most > 12*time.Second {
			t.Errorf("at most %v buffered, want 10s and the chunk that crosses it", most)
		}
	})
}

func TestPlayerFillsItsBufferBitByBit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: always(time.Millisecond)}
		commands, sought := make(chan Command, 1), time.Duration(-1)
		most := map[int]time.Duration{} // by seconds played since the start, or the seek
		if _, err := play(t, film(90), Options{Speed: 1, Buffer: 30 * time.Second, Commands: commands, OnEvent: func(e Event) {
			since := e.Position
			if sought >= 0 {
				since -= sought
			}
			if sec := int(since / time.Second); since >= 0 {
				most[sec] = max(most[sec], e.Buffered)
			}
			if e.Kind == EventPosition && sought < 0 && e.Position > 70*time.Second {
				if n := most[60]; n < 29*time.Second || n > 32*time.Second {
					t.Errorf("%v buffered after a minute, want 30s and the chunk that crosses it", n)
				}
				clear(most)
				sought = 20 * time.Second
				commands <- Command{Seek: true, To: sought}
			}
		}}, s); err != nil {
			t.Fatal(err)
		}
		for sec, most := range most {
			if limit := 6*time.Second + 2*time.Duration(sec+1)*time.Second + 2*time.Second; most > limit && sec < 60 {
				t.Errorf("%v buffered in second %d behind the seek, want %v at most", most, sec, limit)
			}
		}
		if n := most[10]; n < 24*time.Second {
			t.Errorf("%v buffered in second 10, want 26s", n)
		}
	})
}

func TestNothingElseTravelsBeforeTheFirstPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: func(slot vstack.Slot) (time.Duration, error) {
			if slot.Seq == 1 && slot.Track == 1 {
				return 700 * time.Millisecond, nil
			}
			return 10 * time.Millisecond, nil
		}}
		before := -1
		_, err := play(t, film(10), Options{Speed: 1, OnEvent: func(e Event) {
			if e.Kind == EventStarted {
				s.mu.Lock()
				defer s.mu.Unlock()
				before = len(s.asked)
			}
		}}, s)
		if err != nil {
			t.Fatal(err)
		}
		if before != 4 {
			t.Errorf("%d chunks were asked for before the first picture, want init and first chunk of two tracks", before)
		}
	})
}

func TestPlayerCountsStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: func(slot vstack.Slot) (time.Duration, error) {
			if slot.Track == 1 && slot.Seq == 3 { // media from 4 s to 6 s
				return 10 * time.Second, nil
			}
			return 0, nil
		}}
		var stalls, resumed int
		r, err := play(t, film(10), Options{Speed: 1, OnEvent: func(e Event) {
			switch e.Kind {
			case EventStall:
				stalls++
				if e.Time != 4*time.Second+time.Microsecond || e.Position != 4*time.Second {
					t.Errorf("stall seen at %v, position %v; want 4s", e.Time, e.Position)
				}
			case EventResumed:
				resumed++
			}
		}}, s)
		if err != nil {
			t.Fatal(err)
		}
		if r.Stalls != 1 || stalls != 1 || resumed != 1 || r.StallTime != 6 || r.Elapsed < 26 || r.Elapsed > 26.01 {
			t.Errorf("%d stalls (%d, %d told) of %v s, took %v", r.Stalls, stalls, resumed, r.StallTime, r.Elapsed)
		}
	})
}

func TestPlayerKeepsOrderWhenChunksOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: func(slot vstack.Slot) (time.Duration, error) {
			return time.Duration(slot.Seq*7919%13+uint32(slot.Track)) * 10 * time.Millisecond, nil
		}}
		sink := &record{}
		r, err := play(t, film(40), Options{Speed: 0, InFlight: 8, Sink: sink}, s)
		if err != nil {
			t.Fatal(err)
		}
		for n := uint16(1); n <= 2; n++ {
			for i, got := range sink.ofTrack(n) {
				if want := fmt.Sprintf("%d/%d", n, i); got != want {
					t.Fatalf("track %d: %s in place of %s", n, got, want)
				}
			}
		}
		if sink.bad != "" || len(sink.slots) != 82 || r.Stalls != 0 || s.most > 8 {
			t.Errorf("%s, %d chunks, %d stalls, %d in flight", sink.bad, len(sink.slots), r.Stalls, s.most)
		}
	})
}

func TestPlayerPassesDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: always(100 * time.Millisecond)}
		if _, err := play(t, film(20), Options{Speed: 2}, s); err != nil {
			t.Fatal(err)
		}
		for slot, due := range s.due {
			want := 100*time.Millisecond + time.Duration(slot.Seq-1)*time.Second // 2 s of media at speed 2
			if slot.Seq > 3 && due != want {
				t.Errorf("slot %s due at %v, want %v", slot, due, want)
			}
		}
		for i, slot := range s.asked { // those asked for at the same moment come in any order
			if want := i / 2; max(int(slot.Seq)-want, want-int(slot.Seq)) > 2 {
				t.Errorf("slot %s was asked for in place %d", slot, i)
			}
		}
	})
}

func TestPlayerEndsWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	t.Run("of a fetch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &source{takes: func(slot vstack.Slot) (time.Duration, error) {
				if slot.Seq == 5 {
					return 0, broken
				}
				return time.Second, nil
			}}
			r, err := play(t, film(20), Options{Speed: 1}, s)
			if !errors.Is(err, broken) || r.Chunks == 0 || r.Chunks == r.Total {
				t.Errorf("%d of %d chunks, %v", r.Chunks, r.Total, err)
			}
			if s.inFlight != 0 {
				t.Errorf("%d fetches still run", s.inFlight)
			}
		})
	})
	t.Run("of the sink", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &source{takes: always(0)}
			_, err := play(t, film(20), Options{Sink: sinkFunc(func() error { return broken })}, s)
			if !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("of the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			s := &source{takes: always(time.Millisecond)}
			began := time.Now()
			p, err := New(film(20), Options{Speed: 1}, s.fetch, func() time.Duration { return time.Since(began) })
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Run(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || r.Elapsed != 5 || r.Played < 4.9 || r.Played > 5 {
				t.Errorf("played %v of %v s, %v", r.Played, r.Elapsed, err)
			}
		})
	})
}

type sinkFunc func() error

func (f sinkFunc) Chunk(context.Context, vstack.Track, vstack.ChunkRef, []byte) error { return f() }

func TestNewRefuses(t *testing.T) {
	m := film(2)
	empty := film(2)
	empty.Tracks[0].Chunks = nil
	clockless := film(2)
	clockless.Tracks[0].Timescale = 0
	for name, c := range map[string]struct {
		m   *vstack.Manifest
		opt Options
	}{
		"a negative speed":        {m, Options{Speed: -1}},
		"a negative buffer":       {m, Options{Buffer: -1}},
		"too many in flight":      {m, Options{InFlight: maxInFlight + 1}},
		"an unknown track":        {m, Options{Tracks: []uint16{3}}},
		"a track twice":           {m, Options{Tracks: []uint16{1, 1}}},
		"no tracks":               {&vstack.Manifest{}, Options{}},
		"a track without chunks":  {empty, Options{}},
		"a track without a clock": {clockless, Options{}},
	} {
		if _, err := New(c.m, c.opt, nil, nil); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOriginalBytesPlayWithoutAClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &vstack.Manifest{Video: vstack.VideoID{1}, Tracks: []vstack.Track{{Number: 9, Kind: vstack.TrackOriginal, Chunks: []vstack.ChunkRef{ref(8, 1), ref(8, 2), ref(8, 3)}}}}
		sink := &record{}
		r, err := play(t, m, Options{Tracks: []uint16{9}, Sink: sink}, &source{takes: always(time.Second)})
		if err != nil || r.Chunks != 3 || !slices.Equal(sink.slots, []string{"9/1", "9/2", "9/3"}) {
			t.Errorf("%v, %v", sink.slots, err)
		}
	})
}
