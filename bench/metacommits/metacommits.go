package metacommits

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/report"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// commitRound is how long one side commits in one round.
const commitRound = 1500 * time.Millisecond

// commitFigures are of one round.
type commitFigures struct {
	rate     float64 // commits a second
	p50, p99 float64 // ms
	cpu      float64 // of members and clients together, µs a commit
}

// Options are the two sides, and how often each has its turn.
type Options struct {
	Hosts    []*deploy.Host // whose processes are counted
	ID       *identity.Identity
	Meta     *metaclient.Client
	Beside   *baseline.Etcd // nil: ours alone, unjudged
	Rounds   int
	Progress func(string)
}

// Run measures 1, 64 and 256 clients.
func Run(ctx context.Context, o Options) (rows []report.Row, err error) {
	for _, width := range []int{1, 64, 256} {
		o.Progress(fmt.Sprintf("  %d clients", width))
		more, err := commitRows(ctx, o, width)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// commitRows measures one number of clients.
func commitRows(ctx context.Context, o Options, width int) (_ []report.Row, err error) {
	ours, closeOurs, err := o.titleWriters(ctx, width)
	if err != nil {
		return nil, err
	}
	defer closeOurs()
	base, against := ours, ""
	pids := [2][]int{}
	for _, h := range o.Hosts {
		pids[0] = append(pids[0], h.Pid())
	}
	if o.Beside != nil {
		against = "three-member etcd"
		pids[1] = o.Beside.PIDs()
		var closeBase func()
		base, closeBase = etcdWriters(o.Beside, width)
		defer closeBase()
	}
	var a, b []commitFigures
	for round := range o.Rounds + 1 {
		sides := []func(context.Context, int, int) error{ours, base}
		if o.Beside == nil {
			sides = sides[:1]
		}
		for s := range sides {
			which := (s + round) % len(sides) // whose turn is first changes each round
			f, err := commitFor(ctx, width, commitRound, pids[which], sides[which])
			if err != nil {
				return nil, err
			}
			if round == 0 {
				continue // connections and caches
			}
			if which == 0 {
				a = append(a, f)
			} else {
				b = append(b, f)
			}
		}
	}
	if o.Beside == nil {
		b = a
	}
	row := func(name, unit string, of func(commitFigures) float64, bound *report.Bound) report.Row {
		r := report.Row{Scenario: "meta-commits", Name: fmt.Sprintf("%d clients, %s", width, name), Unit: unit, Baseline: against, Bound: bound}
		for i := range a {
			r.Pairs = append(r.Pairs, paired.Pair{Ours: of(a[i]), Base: of(b[i])})
		}
		if against == "" {
			r.Bound = nil
		}
		return r
	}
	var wide, single *report.Bound
	if width == 1 {
		single = report.AtMost(2)
	} else {
		wide = report.AtLeast(0.8)
	}
	return []report.Row{
		row("durable commits", "1/s", func(f commitFigures) float64 { return f.rate }, wide),
		row("p50", "ms", func(f commitFigures) float64 { return f.p50 }, single),
		row("p99", "ms", func(f commitFigures) float64 { return f.p99 }, nil),
		row("processor time", "µs a commit", func(f commitFigures) float64 { return f.cpu }, nil),
	}, nil
}

// etcdWriters makes clients that each put to a key of their own.
func etcdWriters(beside *baseline.Etcd, width int) (write func(ctx context.Context, i, n int) error, done func()) {
	clients := make([]*baseline.EtcdClient, width)
	for i := range clients {
		clients[i] = beside.Client()
	}
	return func(ctx context.Context, i, n int) error {
			return clients[i].Put(ctx, fmt.Sprintf("video/%08d/title", i), title(i, n))
		}, func() {
			for _, c := range clients {
				c.Close()
			}
		}
}

// titleWriters makes clients that each patch the title of a video of their own.
func (o Options) titleWriters(ctx context.Context, width int) (write func(ctx context.Context, i, n int) error, done func(), err error) {
	endpoints, err := o.leaderFirst(ctx)
	if err != nil {
		return nil, nil, err
	}
	clients := make([]*metaclient.Client, width)
	videos := make([]vstack.VideoID, width)
	done = func() {
		for _, m := range clients {
			if m != nil {
				m.Close()
			}
		}
	}
	for i := range clients {
		if clients[i], err = metaclient.New(metaclient.Config{Endpoints: endpoints, TLS: o.ID.ClientTLS()}); err != nil {
			break
		}
		var up vstack.Upload
		if up, err = clients[i].OpenUpload(ctx, wire.OpenUploadRequest{Title: title(i, 0), Owner: vstack.ProposerID(uuid.New())}); err != nil {
			break
		}
		videos[i] = up.Video
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("make a video to write to: %w", err)
	}
	return func(ctx context.Context, i, n int) error {
		t := title(i, n)
		v, err := clients[i].PatchVideo(ctx, videos[i], wire.VideoPatch{Title: &t})
		if err == nil && v.Title != t {
			err = fmt.Errorf("patch video %s: %w: answered title %q, want %q", videos[i], vstack.ErrInternal, v.Title, t)
		}
		return err
	}, done, nil
}

// leaderFirst is the cluster's endpoints, the leader's first.
func (o Options) leaderFirst(ctx context.Context) ([]string, error) {
	st, err := o.Meta.RaftStatus(ctx)
	if err != nil {
		return nil, err
	}
	var endpoints []string
	for _, p := range st.Peers {
		if p.Leader {
			endpoints = slices.Insert(endpoints, 0, p.API)
		} else {
			endpoints = append(endpoints, p.API)
		}
	}
	return endpoints, nil
}

// title is 48 bytes.
func title(i, n int) string {
	return fmt.Sprintf("Title %010d of client %08d, as of a test", n, i)[:48]
}

// commitFor lets width clients commit, one after the other each, for a while. pids are
// the members' processes; the clients are in this one.
func commitFor(ctx context.Context, width int, d time.Duration, pids []int, commit func(ctx context.Context, i, n int) error) (commitFigures, error) {
	took := make([][]float64, width)
	before, err := players.ProcessorTime(pids...)
	if err != nil {
		return commitFigures{}, err
	}
	g, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for i := range width {
		g.Go(func() error {
			for n := 0; time.Since(start) < d; n++ {
				began := time.Now()
				if err := commit(ctx, i, n); err != nil {
					return err
				}
				took[i] = append(took[i], time.Since(began).Seconds()*1e3)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return commitFigures{}, err
	}
	wall := time.Since(start)
	after, err := players.ProcessorTime(pids...)
	all := slices.Concat(took...)
	f := commitFigures{rate: float64(len(all)) / wall.Seconds(), p50: paired.Quantile(all, 0.5), p99: paired.Quantile(all, 0.99),
		cpu: (after - before).Seconds() * 1e6 / float64(len(all))}
	return f, err
}
