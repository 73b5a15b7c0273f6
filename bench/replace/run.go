package replace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/lab"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// Options say where and how much. All are required but Kills.
type Options struct {
	Dir, Exe, FirstIP string
	Rounds            int
	// Kills ends a host by SIGKILL in the middle of every round and starts it again: what
	// it drove is left to others, what it held comes back from its disk.
	Kills    bool
	Progress func(string)
}

const (
	// storesPerHost leaves room beside the two copies that a host may have of a chunk.
	storesPerHost = 3
	// roundTimeout bounds one replacement.
	roundTimeout = 2 * time.Minute
	// poll is how often the placement map is asked for.
	poll = 20 * time.Millisecond
	// killStep and killSteps say when in a round a host is killed: 0, 50 … 750 ms.
	killStep  = 50 * time.Millisecond
	killSteps = 16
	// settle lets connections warm up before the first round.
	settle = 2 * time.Second
)

// Result is what a run found.
type Result struct {
	Rounds     int
	Groups     int // epochs that began
	Killed     int // hosts
	Elapsed    time.Duration
	Took       []time.Duration // each round
	Silence    []time.Duration // of each round
	Stall      []time.Duration // of each round
	Commits    int             // acknowledged
	Refused    int             // that failed
	Quiet      []time.Duration // commits before the first round
	Checked    int             // chunks that were looked for at their acceptors and read back
	Violations []string
}

// cluster is the lab with the clients of its administrator.
type cluster struct {
	lab    *lab.Lab
	meta   *metaclient.Client
	chunks *quicclient.Client
}

func open(ctx context.Context, opt Options) (_ *cluster, err error) {
	c := &cluster{}
	spec := lab.Spec{Spec: deploy.Spec{FirstIP: opt.FirstIP, Stores: storesPerHost, Superblock: 64 << 20, LogLevel: "warn"}, Under: opt.Dir}
	if c.lab, err = lab.Init(ctx, spec); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	admin, err := c.lab.Serve(ctx, opt.Exe)
	if err != nil {
		return nil, err
	}
	c.meta = admin.Meta
	c.chunks, err = quicclient.New(quicclient.Config{TLS: admin.ID.ClientTLS(), Placement: c.meta.RefreshPlacement})
	return c, err
}

func (c *cluster) close() error {
	var errs []error
	if c.chunks != nil {
		errs = append(errs, c.chunks.Close())
	}
	if c.meta != nil {
		c.meta.Close()
	}
	return errors.Join(append(errs, c.lab.Close())...)
}

// Run makes a lab, writes and replaces, checks, and removes the lab.
func Run(ctx context.Context, opt Options) (_ *Result, err error) {
	c, err := open(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	w := newWriters(c)
	stop := w.start(ctx)
	res := &Result{}
	if err = rest(ctx, settle); err == nil {
		res.Quiet = w.latencies(time.Time{}, time.Now())
		err = c.rounds(ctx, opt, w, res)
	}
	if err = errors.Join(err, stop()); err != nil {
		return nil, err
	}
	opt.Progress("  checking what is left")
	if err := w.checkAll(ctx); err != nil {
		return nil, err
	}
	w.into(res)
	return res, nil
}

// rounds replaces stores in turn.
func (c *cluster) rounds(ctx context.Context, opt Options, w *writers, res *Result) error {
	began := time.Now()
	for n := range opt.Rounds {
		from := time.Now()
		killed := c.kill(opt.Kills, n)
		groups, err := c.replaceOne(ctx, n)
		to := time.Now()
		if kerr := killed(ctx); kerr != nil || err != nil {
			return fmt.Errorf("round %d: %w", n+1, errors.Join(err, kerr))
		}
		if opt.Kills {
			res.Killed++
		}
		silence, stall, err := w.judge(ctx, from, to)
		if err != nil {
			return fmt.Errorf("round %d: %w", n+1, err)
		}
		res.Rounds++
		res.Groups += groups
		res.Took, res.Silence, res.Stall = append(res.Took, to.Sub(from)), append(res.Silence, silence), append(res.Stall, stall)
		if n%20 == 19 {
			opt.Progress(fmt.Sprintf("  %d of %d replaced, %.0f a minute", n+1, opt.Rounds, float64(n+1)/time.Since(began).Minutes()))
		}
	}
	res.Elapsed = time.Since(began)
	return nil
}

// kill ends a host some time after it is called and starts it again; the function that it
// returns waits until that host serves. Every round kills at another moment.
func (c *cluster) kill(really bool, n int) (wait func(context.Context) error) {
	if !really {
		return func(context.Context) error { return nil }
	}
	done := make(chan error, 1)
	h := c.lab.Hosts[n%len(c.lab.Hosts)]
	time.AfterFunc(killStep*time.Duration(n%killSteps), func() {
		done <- errors.Join(h.Kill(), h.Start())
	})
	return func(ctx context.Context) error {
		select {
		case err := <-done:
			ctx, cancel := context.WithTimeout(ctx, roundTimeout)
			defer cancel()
			return errors.Join(err, c.lab.Ready(ctx))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// replaceOne replaces the store whose turn it is and waits until its roles are gone; it
// returns how many groups had moved.
func (c *cluster) replaceOne(ctx context.Context, n int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	m, err := c.meta.RefreshPlacement(ctx)
	if err != nil {
		return 0, err
	}
	ids := make([]vstack.StoreID, 0, len(m.Stores))
	for _, s := range m.Stores {
		if s.State == vstack.StoreUp && roles(m, s.ID) > 0 {
			ids = append(ids, s.ID)
		}
	}
	slices.SortFunc(ids, func(a, b vstack.StoreID) int { return slices.Compare(a[:], b[:]) })
	if len(ids) == 0 {
		return 0, fmt.Errorf("no store has a role: %w", vstack.ErrNotReady)
	}
	id := ids[n%len(ids)]
	groups := roles(m, id)
	if _, err := c.meta.ReplaceStore(ctx, id, vstack.StoreID{}); err != nil {
		return 0, fmt.Errorf("replace store %s: %w", id, err)
	}
	for {
		m, err := c.meta.RefreshPlacement(ctx)
		if err != nil {
			return 0, err
		}
		if roles(m, id) == 0 && !slices.ContainsFunc(m.Groups, func(g vstack.PGTargets) bool { return g.Next != nil }) {
			return groups, nil
		}
		if err := rest(ctx, poll); err != nil {
			return 0, fmt.Errorf("store %s still has %d roles: %w", id, roles(m, id), err)
		}
	}
}

// roles counts the groups that a store is a target of.
func roles(m *vstack.PlacementMap, id vstack.StoreID) (n int) {
	for _, g := range m.Groups {
		if g.Index(id) >= 0 {
			n++
		}
	}
	return n
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
