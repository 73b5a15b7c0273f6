package players

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

// Play runs one player with connections of its own, of a cluster whose client bundle is in a
// directory; speed 0 is as fast as it goes.
func Play(ctx context.Context, bundle string, meta *metaclient.Client, m *vstack.Manifest, speed float64) (quicclient.Report, error) {
	reader, err := identity.LoadRoots(filepath.Join(bundle, "ca.crt")) // viewers have no certificate
	if err != nil {
		return quicclient.Report{}, err
	}
	client, err := quicclient.New(quicclient.Config{TLS: reader.ClientTLS(), Placement: meta.Placement})
	if err != nil {
		return quicclient.Report{}, err
	}
	r, err := client.Play(ctx, m, quicclient.PlayOptions{Speed: speed})
	return r, errors.Join(err, client.Close())
}

// Upload uploads as a person does, with a client bundle and further flags, and returns the
// published video.
func Upload(ctx context.Context, exe, bundle, file, title string, more ...string) (vstack.VideoID, error) {
	cmd := exec.CommandContext(ctx, exe, append([]string{"--cluster", bundle, "video", "upload", file, "--title", title, "-o", "json"}, more...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return vstack.VideoID{}, fmt.Errorf("upload %s: %w: %s", file, err, strings.TrimSpace(errs.String()))
	}
	var jobs wire.List[wire.Job]
	if err := json.Unmarshal(out.Bytes(), &jobs); err != nil || len(jobs.Items) != 1 {
		return vstack.VideoID{}, fmt.Errorf("upload %s: %w: answer %q", file, errors.Join(vstack.ErrInternal, err), out.String())
	}
	return jobs.Items[0].Video, nil
}

// Picture is what a clip shows.
type Picture struct {
	Seconds int
	Size    string // default 1280x720
	Rate    string // bits a second, held; default 4M
	Seed    int    // clips of two seeds have no byte in common
}

// Clip makes a moving H.264/AAC picture with sound.
func Clip(ctx context.Context, path string, p Picture) error {
	d, size, rate := strconv.Itoa(p.Seconds), p.Size, p.Rate
	if size == "" {
		size = "1280x720"
	}
	if rate == "" {
		rate = "4M"
	}
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size="+size+":rate=30:duration="+d+",hue=h="+strconv.Itoa(p.Seed*17%360),
		"-f", "lavfi", "-i", "sine=frequency="+strconv.Itoa(440+p.Seed)+":duration="+d,
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate,
		"-x264-params", "nal-hrd=cbr", "-pix_fmt", "yuv420p", "-g", "60", "-c:a", "aac", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make clip: %w: %s", err, out)
	}
	return nil
}

// ForgetPeak has PeakMemory of a process count from now on.
func ForgetPeak(pid int) error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return fmt.Errorf("begin to count the memory of process %d: %w", pid, err)
	}
	return nil
}

// PeakMemory is the most that a process ever had resident, in bytes.
func PeakMemory(pid int) (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("memory of process %d: %w", pid, vstack.ErrNotFound)
}

// ProcessorTime is what this process and others have used of the processors so far.
func ProcessorTime(pids ...int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range append([]int{os.Getpid()}, pids...) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		// The second field is a name in parentheses; user and system time are the 14th
		// and 15th, in hundredths of a second.
		_, rest, _ := strings.Cut(string(b), ") ")
		for _, f := range strings.Fields(rest)[11:13] {
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read processor time: %w", err)
			}
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total, nil
}
