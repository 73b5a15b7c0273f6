package site_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/bench/virtual/site"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

var video = vstack.VideoID{0xfe}

// open makes three hosts with two stores each behind links of one kind.
func open(t *testing.T, seed uint64, link virtual.LinkConfig) *site.Site {
	t.Helper()
	down := virtual.LinkConfig{Delay: link.Delay}
	h := site.HostConfig{Up: link, Down: down, Stores: 2}
	s, err := site.Open(site.Config{Dir: t.TempDir(), Seed: seed, Hosts: []site.HostConfig{h, h, h}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func chunk(seed, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// film is one track of so many chunks.
func film(s *site.Site, chunks, size int, each time.Duration) *vstack.Manifest {
	tr := vstack.Track{Number: 1, Kind: vstack.TrackVideo, Timescale: 1000}
	for i := range chunks {
		slot := vstack.Slot{Video: video, Track: 1, Seq: uint32(i + 1)}
		id := s.Put(slot, chunk(i, size))
		tr.Chunks = append(tr.Chunks, vstack.ChunkRef{
			Seq: slot.Seq, ID: id, Size: uint32(size), Start: int64(i) * each.Milliseconds(), Duration: each.Milliseconds(), Keyframe: true,
		})
	}
	return &vstack.Manifest{Version: 1, Video: video, Duration: (time.Duration(chunks) * each).Seconds(), Tracks: []vstack.Track{tr}}
}

// get is how long one 2 MiB chunk takes on a fresh client.
func get(t *testing.T, seed uint64, link virtual.LinkConfig) (took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, seed, link)
		defer s.Close()
		c, err := s.Client(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		slot := vstack.Slot{Video: video, Track: 1, Seq: 1}
		data := chunk(1, vstack.ChunkSize)
		ref := vstack.ChunkRef{Seq: 1, ID: s.Put(slot, data), Size: vstack.ChunkSize, Duration: 1}
		began := time.Now()
		got, err := c.Fetch(t.Context(), slot, ref)
		if err != nil {
			t.Fatal(err)
		}
		took = time.Since(began)
		if !slices.Equal(got.Data, data) {
			t.Error("other bytes")
		}
		if got.Proto != "h3" {
			t.Errorf("protocol %s, want h3", got.Proto)
		}
	})
	return took
}

func TestAGetTakesWhatItsLinksAllow(t *testing.T) {
	link := virtual.LinkConfig{Rate: 50e6, Delay: 10 * time.Millisecond}
	// Three stores of three hosts may send at once, each on its own link: no less than a
	// third of the time that one link takes, and no more than all of it beside handshake,
	// request and slow start.
	line := time.Duration(float64(vstack.ChunkSize*8) / 50e6 * float64(time.Second))
	if took := get(t, 1, link); took < line/3 || took > line+300*time.Millisecond {
		t.Errorf("2 MiB at 50 Mbit/s took %v; the line itself is %v", took, line)
	}
	for _, loss := range []float64{0, 0.01} {
		link.Loss = loss
		wall := time.Now()
		var all []time.Duration
		for seed := range seeds(5) {
			all = append(all, get(t, seed, link))
		}
		slices.Sort(all)
		t.Logf("2 MiB at 50 Mbit/s, 20 ms, %.0f %% lost: min %v, median %v, max %v over %d seeds; wall %v a GET", loss*100, all[0], all[len(all)/2], all[len(all)-1], len(all), time.Since(wall)/time.Duration(len(all)))
	}
}

// seeds is how many are tried: one, but in a soak.
func seeds(soak uint64) uint64 {
	if os.Getenv("VSTACK_SOAK") != "" {
		return soak
	}
	return 1
}

// play shows a film of 40 s at 8 Mbit/s.
func play(t *testing.T, seed uint64, link virtual.LinkConfig) (r quicclient.Report) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, seed, link)
		defer s.Close()
		m := film(s, 20, vstack.ChunkSize, 2*time.Second)
		c, err := s.Client(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		if r, err = c.Play(context.Background(), m, quicclient.PlayOptions{Speed: 1}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 40*time.Second || took > 60*time.Second {
			t.Errorf("40 s of film took %v of virtual time", took)
		}
	})
	return r
}

func TestAFilmPlaysInVirtualTime(t *testing.T) {
	for _, loss := range []float64{0, 0.01} {
		link := virtual.LinkConfig{Rate: 50e6, Delay: 10 * time.Millisecond, Loss: loss}
		for seed := range seeds(3) {
			wall := time.Now()
			r := play(t, seed, link)
			t.Logf("loss %.0f %%, seed %d: started after %.3f s, %d stalls, chunk p95 %.3f s; wall %v", loss*100, seed, r.Startup, r.Stalls, r.Latency.P95, time.Since(wall).Round(time.Millisecond))
			if r.Verified != 20 || loss == 0 && r.Stalls > 0 {
				t.Errorf("%d chunks verified, %d stalls", r.Verified, r.Stalls)
			}
		}
	}
}

// TestASessionCostsNothing reads 64 KiB with a client that knows the stores from before
// and with one that does not.
func TestASessionCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1, virtual.LinkConfig{Rate: 50e6, Delay: 10 * time.Millisecond})
		defer s.Close()
		slot := vstack.Slot{Video: video, Track: 1, Seq: 1}
		data := chunk(1, 64<<10)
		ref := vstack.ChunkRef{Seq: 1, ID: s.Put(slot, data), Size: 64 << 10, Duration: 1}
		sessions := quicclient.NewSessions()
		read := func() time.Duration {
			c, err := s.Client(func(cfg *quicclient.Config) { cfg.Sessions = sessions })
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			began := time.Now()
			got, err := c.Fetch(t.Context(), slot, ref)
			if err != nil || !slices.Equal(got.Data, data) {
				t.Fatal(err)
			}
			took := time.Since(began)
			time.Sleep(time.Second) // of the bubble's clock: tickets and tokens come after the handshake
			return took
		}
		cold, warm := read(), read()
		t.Logf("64 KiB at 20 ms: %v, and with a session %v", cold, warm)
		if warm > cold+time.Millisecond {
			t.Errorf("a session cost %v", warm-cold)
		}
	})
}
