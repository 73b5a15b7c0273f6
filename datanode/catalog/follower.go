package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Feed is the metastore, as metaclient gives it.
type Feed interface {
	// Feed answers what changed after since; with nothing to tell it may take 30 s.
	Feed(ctx context.Context, since uint64) (wire.FeedPage, error)
}

// Config is what a Follower needs. Zero times take the defaults of the comments.
type Config struct {
	Feed Feed
	// Stores are this host's; they decide the interest.
	Stores []vstack.StoreID
	// OnPage is told every page in order, by one goroutine; nil for nobody.
	OnPage func(wire.FeedPage)
	// Logger; default slog.Default.
	Logger *slog.Logger
	// Registry for metrics; nil for none.
	Registry prometheus.Registerer
	// PollTimeout bounds one request of the feed; default 45 s.
	PollTimeout time.Duration
	// RetryMin and RetryMax bound the pause after a failed request, which doubles from
	// one to the other; defaults 100 ms and 3 s.
	RetryMin, RetryMax time.Duration
}

// Validate fills the defaults in and refuses what cannot work.
func (c *Config) Validate() error {
	if c.Feed == nil || len(c.Stores) == 0 {
		return fmt.Errorf("catalog follower: %w: Feed and Stores are required", vstack.ErrInvalid)
	}
	if c.OnPage == nil {
		c.OnPage = func(wire.FeedPage) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	setDefault(&c.PollTimeout, 45*time.Second)
	setDefault(&c.RetryMin, 100*time.Millisecond)
	setDefault(&c.RetryMax, 3*time.Second)
	return nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

// Follower keeps the view. Run feeds it; every other method may be called at any time.
type Follower struct {
	cfg   Config
	polls prometheus.Counter
	fails prometheus.Counter

	mu      sync.RWMutex // guards all below; never held over I/O or a callback
	view    view
	applied uint64
	synced  bool
	changed chan struct{} // closed and replaced whenever the view or applied changes
}

// New makes a Follower that knows nothing yet.
func New(cfg Config) (*Follower, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Follower{cfg: cfg, changed: make(chan struct{}), view: newView(cfg.Stores)}
	if err := f.register(); err != nil {
		return nil, fmt.Errorf("register catalog metrics: %w", err)
	}
	return f, nil
}

// Run follows the feed until ctx ends. An unreachable metastore is retried for ever.
func (f *Follower) Run(ctx context.Context) error {
	var since uint64
	pause := f.cfg.RetryMin
	for ctx.Err() == nil {
		began := time.Now()
		page, err := f.poll(ctx, since)
		switch {
		case err != nil:
			if ctx.Err() != nil {
				return nil
			}
			f.fails.Inc()
			f.cfg.Logger.Warn("catalog feed is not reachable; reads go on, writes wait", "since", since, "error", err, "retry_in", pause)
			sleep(ctx, jitter(pause))
			pause = min(2*pause, f.cfg.RetryMax)
			continue
		case page.Index <= since && !page.More && time.Since(began) < f.cfg.RetryMin:
			// An answer without news that did not wait for news: a member that lags, or
			// that is going away.
			sleep(ctx, jitter(f.cfg.RetryMin))
		}
		pause = f.cfg.RetryMin
		since = f.apply(page, since)
	}
	return nil
}

func (f *Follower) poll(ctx context.Context, since uint64) (wire.FeedPage, error) {
	f.polls.Inc()
	ctx, cancel := context.WithTimeout(ctx, f.cfg.PollTimeout)
	defer cancel()
	return f.cfg.Feed.Feed(ctx, since)
}

// apply takes a page in and returns where to go on.
func (f *Follower) apply(page wire.FeedPage, since uint64) uint64 {
	if page.Index < since {
		return since // an older member; the next answer may come from another
	}
	f.mu.Lock()
	grew := f.view.apply(page)
	f.mu.Unlock()
	f.cfg.OnPage(page)

	f.mu.Lock()
	defer f.mu.Unlock()
	if grew && since > 0 {
		// Slots of the new groups were skipped before: read everything again. What is
		// known stays true meanwhile.
		f.synced = false
		f.cfg.Logger.Info("placement brings new groups here; reading the catalog again", "applied", page.Index)
		since = 0
	} else {
		since = page.Index
		f.synced = f.synced || !page.More
	}
	f.applied = max(f.applied, page.Index)
	close(f.changed)
	f.changed = make(chan struct{})
	return since
}

// Applied is the feed index up to which everything is known.
func (f *Follower) Applied() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.applied
}

// Synced reports whether the view is complete up to Applied and Applied ≥ index.
func (f *Follower) Synced(index uint64) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.synced && f.applied >= index
}

// Changed is closed at the next change of the view or of Applied.
func (f *Follower) Changed() <-chan struct{} {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.changed
}

// Placement is the current map, nil before the first; the caller must not change it.
func (f *Follower) Placement() *vstack.PlacementMap {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.view.placement
}

func (f *Follower) register() error {
	f.polls = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: "catalog_polls_total", Help: "Requests of the catalog feed."})
	f.fails = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "vstack", Subsystem: "datanode", Name: "catalog_poll_errors_total", Help: "Requests of the catalog feed that failed."})
	if f.cfg.Registry == nil {
		return nil
	}
	applied := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "datanode", Name: "catalog_applied_index", Help: "Catalog index that this datanode follows."},
		func() float64 { return float64(f.Applied()) })
	chunks := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "vstack", Subsystem: "datanode", Name: "catalog_chunks", Help: "Chunks of living videos in this host's placement groups."},
		func() float64 { f.mu.RLock(); defer f.mu.RUnlock(); return float64(f.view.chunks) })
	for _, c := range []prometheus.Collector{f.polls, f.fails, applied, chunks} {
		if err := f.cfg.Registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// jitter spreads retries of many datanodes over ±25 %.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}
