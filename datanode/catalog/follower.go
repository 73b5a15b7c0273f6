package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

// Follower keeps the view. Run feeds it; every other method may be called at any time between
// Open and Close.
type Follower struct {
	cfg   Config
	db    *disk
	polls prometheus.Counter
	fails prometheus.Counter
	// broken says that rows could not be read or written: nothing is claimed any more.
	broken atomic.Bool

	// writing is held by whoever changes the view, also while its rows are written; never by
	// readers, and never over a request.
	writing sync.Mutex
	// life counts the times that the view began anew, so that an answer to a request of before
	// is not taken in; behind writing.
	life int
	// alive ends when the view begins anew: a question of before, which may be held for long,
	// is given up then; behind writing.
	alive context.Context
	end   context.CancelFunc

	decoded decoded

	mu        sync.RWMutex // guards all below, which change with writing held; never over I/O
	state     state
	placement *vstack.PlacementMap
	counts    counts
	open      map[vstack.UploadID]vstack.Upload // never changed, only replaced
	access    map[vstack.VideoID]vstack.Access  // likewise; of videos of which it was ever set
	keys      vstack.TokenKeys
	heard     heard
	fresh     time.Time
	changed   chan struct{} // closed and replaced whenever the view or an index changes
}

// Run follows the feed until ctx ends. An unreachable metastore is retried for ever.
func (f *Follower) Run(ctx context.Context) error {
	if f.Index() > 0 {
		start, err := f.start()
		if err != nil {
			return fmt.Errorf("read the catalog view: %w", err)
		}
		f.cfg.OnStart(start)
	}
	pause := f.cfg.RetryMin
	for ctx.Err() == nil {
		again := f.rereads()
		idle, err := f.follow(ctx, false)
		if err == nil && again { // what is read again does not keep the acceptors waiting
			var none bool
			none, err = f.follow(ctx, true)
			idle = idle && none
		}
		switch {
		case f.broken.Load():
			return fmt.Errorf("catalog view: %w", vstack.ErrClosed)
		case err == nil && !idle:
			pause = f.cfg.RetryMin
		case ctx.Err() != nil:
		case err != nil:
			f.fails.Inc()
			f.cfg.Logger.Warn("catalog feed is not reachable; reads go on, writes wait", "since", f.Index(), "error", err, "retry_in", pause)
			sleep.For(ctx, jitter(pause))
			pause = min(2*pause, f.cfg.RetryMax)
		default: // answers without news that did not wait for any: members that lag, or go away
			pause = f.cfg.RetryMin
			sleep.For(ctx, jitter(pause))
		}
	}
	return nil
}

func (f *Follower) rereads() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return !f.state.Reading.Empty()
}

// follow asks once and takes the answer in. idle says that there was nothing in it, and that
// it did not take long either.
func (f *Follower) follow(ctx context.Context, again bool) (idle bool, err error) {
	f.writing.Lock()
	req, life, alive := f.state.request(f.placement, again), f.life, f.alive
	f.writing.Unlock()
	if again && req.Groups.Empty() {
		return true, nil
	}
	f.polls.Inc()
	began := time.Now()
	pctx, cancel := context.WithTimeout(ctx, f.cfg.PollTimeout)
	defer cancel()
	defer context.AfterFunc(alive, cancel)()
	page, err := f.cfg.Feed.Follow(pctx, req)
	if alive.Err() != nil {
		return false, nil // the view began anew meanwhile
	}
	if err != nil {
		return false, err
	}
	news, err := f.apply(&page, req, life)
	if err != nil {
		return false, err
	}
	return !news && time.Since(began) < f.cfg.RetryMin, nil
}

// apply takes a page in and reports whether it moved the view.
func (f *Follower) apply(page *feed.Page, req feed.Request, life int) (news bool, err error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	switch {
	case life != f.life:
		return true, nil // the view began anew meanwhile
	case page.Index < req.Since || page.At != 0 && page.At < f.state.Seen:
		return false, nil // a member that lags: what it says is older than what is known here
	case !f.state.Cluster.IsZero() && page.Cluster.IsZero():
		return false, nil
	case !f.state.Cluster.IsZero() && page.Cluster != f.state.Cluster:
		f.cfg.Logger.Warn("the catalog view is read anew: it is of another catalog", "view", f.state.Cluster, "catalog", page.Cluster)
		return true, f.startOver(f.state.Restored)
	}
	if err := f.join(page.Placement); err != nil {
		return false, err
	}
	c := f.newChange()
	defer c.batch.Close()
	err = c.page(page, req)
	if news = c.next != f.state || page.Placement != nil; err == nil && news {
		if c.grew {
			f.cfg.Logger.Info("placement brings new groups here; reading them", "index", c.next.Index)
		}
		if !req.References {
			f.cfg.OnPage(*page) // what the process loses of it with its life is told again
		}
		err = c.commit()
	}
	if err != nil {
		f.fail(err)
	}
	return news, err
}

// join has the stores note which groups a new map gives them.
func (f *Follower) join(m *vstack.PlacementMap) error {
	if m == nil || f.placement != nil && m.Version < f.placement.Version {
		return nil
	}
	if err := f.cfg.Join(m); err != nil {
		return fmt.Errorf("note the groups of placement %d: %w", m.Version, err)
	}
	return nil
}

// Restored tells the view when the catalog last came from a backup; zero for never. A view of
// before has videos that the backup does not name, so that it begins anew.
func (f *Follower) Restored(at time.Time) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if at.Equal(f.state.Restored) || f.db == nil {
		return nil
	}
	f.cfg.Logger.Warn("the catalog view is read anew: the catalog came from a backup", "restored", at)
	if err := f.startOver(at); err != nil {
		f.fail(err)
		return err
	}
	return nil
}

// startOver empties the view; the caller holds writing.
func (f *Follower) startOver(restored time.Time) error {
	f.life++
	f.end()
	f.alive, f.end = context.WithCancel(context.Background())
	c := f.newChange()
	defer c.batch.Close()
	c.next.Restored = restored
	if err := c.wipe(); err != nil {
		return err
	}
	return c.commit()
}

// Forget drops the references of a group that no store of this host is a target of, and holds
// nothing of. It answers false, and keeps them, if one is.
func (f *Follower) Forget(pg vstack.PG) (bool, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.db == nil || !f.placement.Ready() || wanted(f.placement, pg, f.cfg.Stores) {
		return false, nil
	}
	if !f.state.Known.Has(pg) {
		return true, nil
	}
	c := f.newChange()
	defer c.batch.Close()
	lower, upper := referencesOf(pg, nil)
	err := c.dropRange(pg, lower, upper)
	if err == nil {
		c.next.Known.Remove(pg)
		c.next.Reading.Remove(pg)
		err = c.commit()
	}
	if err != nil {
		f.fail(err)
		return false, err
	}
	return true, nil
}

// fail ends the process, by way of Fatal: a view that cannot be read must not say that
// something is absent. The next start begins anew if rows were rotten.
func (f *Follower) fail(err error) {
	if f.broken.Swap(true) {
		return
	}
	if errors.Is(err, vstack.ErrCorrupt) || pebble.IsCorruptionError(err) {
		if merr := mark(f.cfg.FS, f.cfg.Dir); merr != nil {
			err = errors.Join(err, merr)
		}
	}
	f.cfg.Fatal(err)
}

func (f *Follower) register() error {
	f.polls = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: "catalog_polls_total", Help: "Requests of the catalog feed."})
	f.fails = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: "catalog_poll_errors_total", Help: "Requests of the catalog feed that failed."})
	if f.cfg.Registry == nil {
		return nil
	}
	gauge := func(name, help string, of func() uint64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "datanode", Name: name, Help: help},
			func() float64 { f.mu.RLock(); defer f.mu.RUnlock(); return float64(of()) })
	}
	for _, c := range []prometheus.Collector{
		f.polls, f.fails,
		gauge("catalog_applied_index", "Catalog index that this datanode follows.", func() uint64 { return f.state.Index }),
		gauge("catalog_whole_index", "Catalog index at which the end of the feed was last reached.", func() uint64 { return f.state.Whole }),
		gauge("catalog_chunks", "Chunks of living videos in the placement groups that this host knows.", func() (n uint64) {
			for _, c := range f.counts {
				n += c
			}
			return n
		}),
	} {
		if err := f.cfg.Registry.Register(c); err != nil {
			return fmt.Errorf("register catalog metrics: %w", err)
		}
	}
	return nil
}

// jitter spreads retries of many datanodes over ±25 %.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}
