package requirements

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/players"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

const (
	films    = 20 // stored at once
	viewers  = 200
	starts   = 10 // playbacks that begin by themselves
	requests = 200
	asked    = 100 // requests at once at which a store's response was promised
	kills    = 5

	filmSeconds = 75
	filmRate    = "400k"
	filmSize    = "320x180"
	// startOver is the time over which viewers start: as people do, not all at one moment.
	startOver = 30 * time.Second
)

// Options say where to measure.
type Options struct {
	Dir, Exe, FirstIP string // of the lab
	Progress          func(string)
}

// Requirement is one promise with what was measured.
type Requirement struct {
	Name  string
	Unit  string
	Asked string  // of the system that V-Stack follows
	Value float64 // measured
	Op    string  // ">=", "<=" or "=="
	Want  float64 // at least twice as good as asked
	Note  string
}

// run is one measurement.
type run struct {
	opt    Options
	lab    *lab.Lab
	meta   *metaclient.Client
	admin  *lab.Client
	videos []*vstack.Manifest
	out    []Requirement
}

// Run measures. The lab is made and removed.
func Run(ctx context.Context, opt Options) (_ []Requirement, err error) {
	r := &run{opt: opt}
	if r.lab, err = lab.Init(ctx, lab.Spec{Spec: deploy.Spec{FirstIP: opt.FirstIP, LogLevel: "warn"}, Under: opt.Dir}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.lab.Close()) }()
	if r.admin, err = r.lab.Serve(ctx, opt.Exe); err != nil {
		return nil, err
	}
	r.meta = r.admin.Meta
	defer r.meta.Close()
	for _, part := range []struct {
		what string
		do   func(context.Context) error
	}{
		{fmt.Sprintf("%d uploads at once", films), r.uploads},
		{fmt.Sprintf("%d playbacks, one after the other", starts), r.start},
		{"one playback as fast as it goes", r.throughput},
		{fmt.Sprintf("%d requests at once", requests), r.concurrentRequests},
		{fmt.Sprintf("%d viewers of %d films", viewers, films), r.watch},
		{fmt.Sprintf("%d leaders are killed", kills), r.failover},
	} {
		opt.Progress("  " + part.what)
		if err := part.do(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", part.what, err)
		}
	}
	return r.out, nil
}

func (r *run) say(q Requirement) { r.out = append(r.out, q) }

// uploads stores all films at the same time, spread over the hosts.
func (r *run) uploads(ctx context.Context) error {
	files := make([]string, films)
	for i := range files {
		files[i] = filepath.Join(r.lab.Dir, "film"+strconv.Itoa(i)+".mp4")
		if err := players.Clip(ctx, files[i], players.Picture{Seconds: filmSeconds, Size: filmSize, Rate: filmRate, Seed: i + 1}); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	for i, file := range files {
		g.Go(func() error {
			id, err := players.Upload(gctx, r.opt.Exe, r.lab.Client, file, "film "+strconv.Itoa(i+1))
			if err != nil {
				return err
			}
			m, err := r.meta.Manifest(gctx, id)
			mu.Lock()
			defer mu.Unlock()
			r.videos = append(r.videos, m)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r.say(Requirement{"concurrent uploads", "uploads", "≥ 10", float64(len(r.videos)), ">=", 20, fmt.Sprintf("all published after %.1f s", time.Since(began).Seconds())})
	return nil
}

// start begins playbacks one after the other, each with connections of its own.
func (r *run) start(ctx context.Context) error {
	worst := 0.0
	for i := range starts {
		pctx, stop := context.WithTimeout(ctx, 3*time.Second) // the rest of the film says nothing more
		report, err := r.play(pctx, r.videos[i%len(r.videos)], 1)
		stop()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if report.Startup <= 0 {
			report.Startup = math.Inf(1)
		}
		worst = max(worst, report.Startup)
	}
	r.say(Requirement{"startup", "s", "< 2 s", worst, "<=", 1, fmt.Sprintf("the slowest of %d", starts)})
	return nil
}

func (r *run) play(ctx context.Context, m *vstack.Manifest, speed float64) (quicclient.Report, error) {
	return players.Play(ctx, r.lab.Client, r.meta, m, speed)
}

func (r *run) throughput(ctx context.Context) error {
	var rates []float64
	for _, m := range r.videos[:5] {
		report, err := r.play(ctx, m, 0)
		if err != nil {
			return err
		}
		rates = append(rates, float64(report.Bytes)*8/1e6/report.Elapsed)
	}
	slices.Sort(rates)
	r.say(Requirement{"throughput", "Mbit/s", "> 40 Mbit/s", rates[len(rates)/2], ">=", 80, "one client with new connections, every chunk verified"})
	return nil
}

// watch has all viewers watch in real time.
func (r *run) watch(ctx context.Context) error {
	var mu sync.Mutex
	var reports []quicclient.Report
	g, gctx := errgroup.WithContext(ctx)
	for i := range viewers {
		g.Go(func() error {
			select {
			case <-time.After(startOver * time.Duration(i) / viewers):
			case <-gctx.Done():
				return gctx.Err()
			}
			report, err := r.play(gctx, r.videos[i%len(r.videos)], 1)
			if err == nil && report.Verified != report.Total {
				err = fmt.Errorf("%w: %d of %d chunks verified", vstack.ErrCorrupt, report.Verified, report.Total)
			}
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, report)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	stalls, buffer := 0, math.Inf(1)
	served := map[vstack.StoreID]float64{}
	m, err := r.meta.Placement(ctx)
	if err != nil {
		return err
	}
	for _, st := range m.Stores {
		served[st.ID] = 0
	}
	for _, p := range reports {
		stalls, buffer = max(stalls, p.Stalls), min(buffer, p.Buffer)
		for _, st := range p.Stores {
			served[st.Store] += float64(st.Bytes)
		}
	}
	r.say(Requirement{"concurrent playback", "viewers", "≥ 100", float64(len(reports)), ">=", viewers, fmt.Sprintf("each with connections of its own, begun within %v, all watching at once; every chunk verified", startOver)})
	r.say(Requirement{"rebuffering", "stalls", "≤ 1", float64(stalls), "==", 0, "of the worst viewer"})
	r.say(Requirement{"average buffer", "s", "> 20 s", buffer, ">=", 25, "of the worst viewer, while there was more to come"})
	r.say(Requirement{"load distribution", "%", "< 15 %", deviation(served) * 100, "<=", 7.5, fmt.Sprintf("standard deviation of bytes served, over %d stores", len(served))})
	return nil
}

// deviation is the standard deviation as a part of the mean.
func deviation(of map[vstack.StoreID]float64) float64 {
	sum, squares := 0.0, 0.0
	for _, v := range of {
		sum += v
	}
	mean := sum / float64(len(of))
	for _, v := range of {
		squares += (v - mean) * (v - mean)
	}
	return math.Sqrt(squares/float64(len(of))) / mean
}

// failover kills the leader's host, and measures how long no change is acknowledged.
func (r *run) failover(ctx context.Context) error {
	worst := 0.0
	for range kills {
		gap, err := r.killLeader(ctx)
		if err != nil {
			return err
		}
		worst = max(worst, gap.Seconds())
	}
	r.say(Requirement{"failover", "s", "< 5 s", worst, "<=", 2.5, fmt.Sprintf("without an acknowledged write after kill -9 of the leader's host, the longest of %d", kills)})
	return nil
}

func (r *run) killLeader(ctx context.Context) (time.Duration, error) {
	st, err := r.meta.RaftStatus(ctx)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(r.lab.Hosts, func(h *deploy.Host) bool { return string(h.ID) == st.Leader })
	if i < 0 {
		return 0, fmt.Errorf("leader %q: %w", st.Leader, vstack.ErrNotFound)
	}
	began := time.Now()
	if err := r.lab.Hosts[i].Kill(); err != nil {
		return 0, err
	}
	for {
		// A client that has to wait for its answer learns of the new leader as late as it
		// would in life.
		wctx, cancel := context.WithTimeout(ctx, time.Second)
		title := "film at " + strconv.FormatInt(time.Now().UnixNano(), 10)
		_, err := r.meta.PatchVideo(wctx, r.videos[0].Video, wire.VideoPatch{Title: &title})
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil || time.Since(began) > time.Minute {
			return 0, err
		}
	}
	gap := time.Since(began)
	if err := r.lab.Hosts[i].Start(); err != nil {
		return 0, err
	}
	ready, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	return gap, r.lab.Ready(ready)
}
