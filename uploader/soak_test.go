package uploader

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// TestLongAndLargeFilms uploads half an hour, and 4K at 40 Mbit/s, and watches the heap.
func TestLongAndLargeFilms(t *testing.T) {
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: set VSTACK_SOAK=1 (make soak-lab) to upload 30 min and 4K at 40 Mbit/s")
	}
	for name, tc := range map[string]struct {
		args    []string
		seconds float64
	}{
		"half an hour": {[]string{"-f", "lavfi", "-i", "testsrc2=s=320x180:r=12:d=1800", "-f", "lavfi", "-i", "sine=d=1800:r=22050"}, 1800},
		"4K": {[]string{"-f", "lavfi", "-i", "testsrc2=s=3840x2160:r=24:d=10,noise=alls=20:allf=t", "-f", "lavfi", "-i", "sine=d=10",
			"-b:v", "40M", "-maxrate", "40M", "-bufsize", "40M"}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "film.mp4")
			args := append([]string{"-v", "error", "-nostdin"}, tc.args...)
			args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-g", "48", "-pix_fmt", "yuv420p", "-c:a", "aac", file)
			if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			c := newCluster()
			c.forget = true
			h := startHost(t, c, t.TempDir(), nil)
			acc := h.upload(t, file, field{"keep_original", "true"}) // its body is in memory until here
			runtime.GC()
			peak, stop := watchHeap()
			began := time.Now()
			j := h.finished(t, acc.Upload, wire.JobPublished)
			stop()
			m, _ := c.manifest(acc.Video)
			if m.Duration < tc.seconds-0.05 || m.Duration > tc.seconds+0.1 {
				t.Errorf("duration %.3f, want %.0f", m.Duration, tc.seconds)
			}
			for _, track := range m.Tracks {
				for _, k := range track.Chunks {
					if k.Size > vstack.ChunkSize || track.Timescale > 0 && float64(k.Duration)/float64(track.Timescale) > 10.001 {
						t.Errorf("track %d chunk %d: %d bytes, %d ticks", track.Number, k.Seq, k.Size, k.Duration)
					}
				}
			}
			t.Logf("%d bytes, %d chunks in %s, heap peak %d MiB", j.Bytes, j.Chunks, time.Since(began).Round(time.Millisecond), peak.Load()>>20)
			// Window 16 MiB, three tracks of ≤ 6 MiB each, doubled by the collector.
			if peak.Load() > 80<<20 {
				t.Errorf("heap peak %d MiB", peak.Load()>>20)
			}
		})
	}
}

// watchHeap samples the heap until stop is called.
func watchHeap() (peak *atomic.Uint64, stop func()) {
	peak = new(atomic.Uint64)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	return peak, func() { close(end); <-done }
}
