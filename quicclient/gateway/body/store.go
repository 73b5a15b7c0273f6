package body

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// Fetcher is where verified chunks come from; *quicclient.Client is one.
type Fetcher interface {
	Fetch(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef) (quicclient.Fetched, error)
}

// Config configures a Store.
type Config struct {
	From Fetcher // required
	// CacheBytes bounds the chunks kept for the next viewer, LoadingBytes those that are being
	// fetched. Required.
	CacheBytes, LoadingBytes int64
	// Private says that a film's chunks are to be asked for with the certificate. Required.
	Private func(vstack.VideoID) bool
	// Registry takes the metrics. Default: none.
	Registry *prometheus.Registry
}

// Store holds verified chunks and fetches those that it lacks, each once however
// many viewers wait for it. Its chunks are shared and never changed.
type Store struct {
	from    Fetcher
	cache   *otter.Cache[vstack.ChunkID, []byte]
	loading *semaphore.Weighted
	most    int64 // bytes of loading
	private func(vstack.VideoID) bool
	metrics *metrics

	ctx    context.Context // ends all flights
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	flights map[vstack.ChunkID]*flight
	closed  bool
}

// flight is one fetch and whoever waits for it. It ends when nobody does.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiting int // guarded by Store.mu
	data    []byte
	err     error
}

// New makes a Store that holds nothing yet.
func New(cfg Config) (*Store, error) {
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	cache, err := otter.New(&otter.Options[vstack.ChunkID, []byte]{
		MaximumWeight: uint64(cfg.CacheBytes),
		Weigher:       func(_ vstack.ChunkID, b []byte) uint32 { return uint32(len(b)) },
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: make cache: %w", err)
	}
	s := &Store{
		from: cfg.From, cache: cache, loading: semaphore.NewWeighted(cfg.LoadingBytes), most: cfg.LoadingBytes, private: cfg.Private, metrics: m,
		flights: map[vstack.ChunkID]*flight{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Close ends every fetch and waits for it.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.cache.StopAllGoroutines()
}

// Get returns a chunk's verified bytes. They are shared: nobody may change them.
func (s *Store) Get(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef) ([]byte, error) {
	if b, ok := s.cache.GetIfPresent(ref.ID); ok {
		s.metrics.reads.WithLabelValues("cache").Inc()
		return b, nil
	}
	f, err := s.join(slot, ref)
	if err != nil {
		return nil, err
	}
	defer s.leave(ref.ID, f)
	select {
	case <-f.done:
		return f.data, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Flights is how many fetches go on.
func (s *Store) Flights() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flights)
}

// ahead starts to fetch a chunk that will be asked for soon. The caller calls stop when
// it no longer wants it.
func (s *Store) ahead(slot vstack.Slot, ref vstack.ChunkRef) (stop func()) {
	if _, ok := s.cache.GetIfPresent(ref.ID); ok {
		return func() {}
	}
	f, err := s.join(slot, ref)
	if err != nil {
		return func() {}
	}
	return sync.OnceFunc(func() { s.leave(ref.ID, f) })
}

// join finds the flight of a chunk, or begins it.
func (s *Store) join(slot vstack.Slot, ref vstack.ChunkRef) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("gateway: %w", vstack.ErrClosed)
	}
	f := s.flights[ref.ID]
	if f != nil {
		s.metrics.reads.WithLabelValues("joined").Inc()
		f.waiting++
		return f, nil
	}
	s.metrics.reads.WithLabelValues("store").Inc()
	f = &flight{done: make(chan struct{}), waiting: 1}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(s.ctx)
	s.flights[ref.ID] = f
	s.wg.Go(func() { s.fly(ctx, f, slot, ref) })
	return f, nil
}

// leave counts a waiter out; a flight that nobody waits for ends.
func (s *Store) leave(id vstack.ChunkID, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiting--; f.waiting > 0 {
		return
	}
	f.cancel()
	if s.flights[id] == f {
		delete(s.flights, id) // whoever comes now begins anew
	}
}

func (s *Store) fly(ctx context.Context, f *flight, slot vstack.Slot, ref vstack.ChunkRef) {
	began := time.Now()
	f.data, f.err = s.load(ctx, slot, ref)
	if f.err == nil {
		s.cache.Set(ref.ID, f.data)
		s.metrics.stored.Add(float64(len(f.data)))
		s.metrics.fetch.Observe(time.Since(began).Seconds())
	}
	s.mu.Lock()
	if s.flights[ref.ID] == f {
		delete(s.flights, ref.ID)
	}
	s.mu.Unlock()
	close(f.done)
}

func (s *Store) load(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef) ([]byte, error) {
	n := min(int64(ref.Size), s.most)
	if err := s.loading.Acquire(ctx, n); err != nil {
		return nil, fmt.Errorf("wait to fetch slot %s: %w", slot, err)
	}
	defer s.loading.Release(n)
	if s.private(slot.Video) {
		ctx = quicclient.Certified(ctx)
	}
	got, err := s.from.Fetch(ctx, slot, ref)
	if err != nil {
		return nil, err
	}
	return got.Data, nil // kept, so never released to the client's pool
}
