package uploader

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/jail"
)

// enterJail is for TestMain: the helper of the jail is this binary.
func enterJail() { jail.Enter() }

// hostile are inputs that ask a converter for much, by the arguments that make them.
var hostile = []struct {
	name, file string
	args       []string
}{
	{"a sound with a hole of seven hours", "gap.mkv", []string{"-f", "lavfi", "-i", "sine=d=4", "-af", "asetpts=PTS+gt(T\\,2)*25200/TB", "-c:a", "pcm_s16le"}},
	{"a PNG of 256 million pixels", "bomb.mkv", []string{"-f", "lavfi", "-i", "color=s=16000x16000:r=1:d=1", "-frames:v", "1", "-pix_fmt", "gray", "-c:v", "png"}},
	{"400 tracks", "tracks.mkv", append([]string{"-f", "lavfi", "-i", "sine=d=1:r=8000"}, append(mapped(400), "-c:a", "pcm_s16le")...)},
	{"8192 × 8192", "square.mkv", []string{"-f", "lavfi", "-i", "color=s=8192x8192:r=5:d=1", "-pix_fmt", "yuv420p", "-c:v", "mjpeg"}},
	{"36 million pixels, in three renditions", "large.mkv", []string{"-f", "lavfi", "-i", "testsrc2=s=8000x4500:r=5:d=1", "-pix_fmt", "yuv420p", "-c:v", "mjpeg"}},
}

func mapped(n int) (out []string) {
	for range n {
		out = append(out, "-map", "0:0")
	}
	return out
}

// peaks are the highest that was seen of FFmpeg's processes.
type peaks struct{ address, resident int64 } // KiB

// watchChildren looks at this process's children until stop is called.
func watchChildren() (stop func() peaks) {
	var most peaks
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			list, _ := filepath.Glob("/proc/[0-9]*/status")
			for _, file := range list {
				b, _ := os.ReadFile(file)
				of := func(name string) (n int64) {
					_, rest, _ := strings.Cut(string(b), "\n"+name+":")
					line, _, _ := strings.Cut(rest, "\n")
					n, _ = strconv.ParseInt(strings.Fields(line + " 0")[0], 10, 64)
					return n
				}
				if of("PPid") == int64(os.Getpid()) && (strings.HasPrefix(string(b), "Name:\tffmpeg\n") || strings.HasPrefix(string(b), "Name:\tffprobe\n")) {
					most.address, most.resident = max(most.address, of("VmPeak")), max(most.resident, of("VmHWM"))
				}
			}
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	return func() peaks { close(end); <-done; return most }
}

// TestHostileInputsStayWithinTheirBounds prints what each takes, and what the person reads.
func TestHostileInputsStayWithinTheirBounds(t *testing.T) {
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: set VSTACK_SOAK=1 (make soak-lab) to upload what asks FFmpeg for much")
	}
	c := newCluster()
	c.forget = true
	h := startHost(t, c, t.TempDir(), func(cfg *Config) { cfg.Jail.Helper = jail.Self })
	for _, in := range hostile {
		t.Run(in.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), in.file)
			if out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-nostdin"}, in.args...), file)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			b, kind := body(t, file, field{"renditions", "source,720p,360p"})
			var before, after syscall.Rusage
			syscall.Getrusage(syscall.RUSAGE_CHILDREN, &before)
			stop := sync.OnceValue(watchChildren())
			defer stop()
			began := time.Now()
			status, out := h.post(t, kind, b)
			var said string
			if status == 202 {
				var acc wire.Accepted
				if err := json.Unmarshal(out, &acc); err != nil {
					t.Fatal(err)
				}
				j := h.job(t, acc.Upload, "?wait=60")
				for tries := 1; !j.State.Done() && tries < 10; tries++ {
					j = h.job(t, acc.Upload, "?wait=60")
				}
				said = string(j.State)
				if j.Error != nil {
					said += ": " + j.Error.Detail
				}
			} else {
				var p wire.Problem
				if err := json.Unmarshal(out, &p); err != nil || p.Code == "INTERNAL" {
					t.Errorf("%d %s", status, out)
				}
				said = fmt.Sprintf("%d %s: %s", status, p.Code, p.Detail)
			}
			wall, most := time.Since(began), stop()
			syscall.Getrusage(syscall.RUSAGE_CHILDREN, &after)
			cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			t.Logf("%d bytes: %d MiB of addresses, %d MiB resident, %s of processor, %s: %s",
				info.Size(), most.address>>10, most.resident>>10, cpu.Round(10*time.Millisecond), wall.Round(10*time.Millisecond), said)
			if most.address > 3<<20 {
				t.Errorf("%d KiB of address space, the bound is 3 GiB", most.address)
			}
		})
	}
}
