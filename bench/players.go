package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

const (
	loadUploads = 12
	loadPlayers = 100
	// memoryBound is what a host's process may have resident at its peak (docs/limits.md).
	memoryBound = 1 << 30
)

// runLoad plays one video 100 times, in real time, while 12 uploads run, as separate
// `vstack video upload` processes. Every chunk is verified by the player, every upload
// by reading it back.
func runLoad(ctx context.Context, opt Options) (_ []Row, err error) {
	c, err := openCluster(ctx, opt, quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	clip := filepath.Join(c.lab.Dir, "load.mp4")
	if err := makeClip(ctx, clip, 20); err != nil {
		return nil, err
	}
	first, err := c.cliUpload(ctx, clip, "load")
	if err != nil {
		return nil, err
	}
	manifest, err := c.meta.Manifest(ctx, first)
	if err != nil {
		return nil, err
	}
	opt.Progress(fmt.Sprintf("  %d uploads and %d players", loadUploads, loadPlayers))
	start := time.Now()
	var mu sync.Mutex
	var uploaded []vstack.VideoID
	var reports []quicclient.Report
	g, gctx := errgroup.WithContext(ctx)
	for i := range loadUploads {
		g.Go(func() error {
			id, err := c.cliUpload(gctx, clip, "load "+strconv.Itoa(i+1))
			mu.Lock()
			defer mu.Unlock()
			uploaded = append(uploaded, id)
			return err
		})
	}
	for range loadPlayers {
		g.Go(func() error {
			r, err := c.play(gctx, manifest, 1)
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, r)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	wall := time.Since(start)
	for _, id := range uploaded {
		m, err := c.meta.Manifest(ctx, id)
		if err != nil {
			return nil, err
		}
		if _, err := c.play(ctx, m, 0); err != nil {
			return nil, fmt.Errorf("read back %s: %w", id, err)
		}
	}
	return c.loadRows(reports, wall)
}

// play runs one player with connections of its own; speed 0 is as fast as it goes.
func (c *cluster) play(ctx context.Context, m *vstack.Manifest, speed float64) (quicclient.Report, error) {
	reader, err := identity.LoadRoots(filepath.Join(c.lab.Client, "ca.crt")) // viewers have no certificate
	if err != nil {
		return quicclient.Report{}, err
	}
	client, err := quicclient.New(quicclient.Config{TLS: reader.ClientTLS(), Placement: c.meta.Placement})
	if err != nil {
		return quicclient.Report{}, err
	}
	r, err := client.Play(ctx, m, quicclient.PlayOptions{Speed: speed})
	return r, errors.Join(err, client.Close())
}

func (c *cluster) loadRows(reports []quicclient.Report, wall time.Duration) ([]Row, error) {
	startups, stalls := make([]float64, len(reports)), make([]float64, len(reports))
	for i, r := range reports {
		startups[i], stalls[i] = r.Startup, float64(r.Stalls)
	}
	rows := []Row{
		figure("load", "players", "players", float64(len(reports)), &Bound{">=", loadPlayers}),
		figure("load", "startup p50 of players who all start at once", "s", quantile(startups, 0.5), nil),
		figure("load", "startup p95 of players who all start at once", "s", quantile(startups, 0.95), nil),
		figure("load", "stalls of the worst player", "stalls", quantile(stalls, 1), &Bound{"<=", 1}),
		figure("load", "wall time", "s", wall.Seconds(), nil),
	}
	for _, h := range c.lab.Hosts {
		peak, err := peakMemory(h.Pid())
		if err != nil {
			return nil, err
		}
		rows = append(rows, figure("load", fmt.Sprintf("peak memory of %s", h.ID), "MiB", math.Round(peak/(1<<20)), &Bound{"<=", memoryBound >> 20}))
	}
	return rows, nil
}

// cliUpload uploads as a person does, and returns the published video.
func (c *cluster) cliUpload(ctx context.Context, file, title string) (vstack.VideoID, error) {
	cmd := exec.CommandContext(ctx, c.opt.Exe, "--cluster", c.lab.Client, "video", "upload", file, "--title", title, "-o", "json")
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

// makeClip makes a moving H.264/AAC picture with sound, about 4 Mbit/s.
func makeClip(ctx context.Context, path string, seconds int) error {
	d := strconv.Itoa(seconds)
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y",
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration="+d,
		"-f", "lavfi", "-i", "sine=frequency=440:duration="+d,
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "4M",
		"-x264-params", "nal-hrd=cbr", "-pix_fmt", "yuv420p", "-g", "60", "-c:a", "aac", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make clip: %w: %s", err, out)
	}
	return nil
}

// peakMemory is the most that a process ever had resident, in bytes.
func peakMemory(pid int) (float64, error) {
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
