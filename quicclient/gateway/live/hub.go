package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Source makes a topic's present value, which is sent as JSON.
type Source func(context.Context) (any, error)

// Config configures a Hub. Zero values take their defaults.
type Config struct {
	Topics map[string]Source
	// Every is the time between two questions to a source. Default 1 s.
	Every time.Duration
	// MaxReaders bounds the streams. Default 512.
	MaxReaders int
}

// Hub keeps the topics and their readers.
type Hub struct {
	cfg    Config
	topics map[string]*topic

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	readers int
	closed  bool
}

// topic is asked by a goroutine of its own while it has readers.
type topic struct {
	source Source

	// Guarded by Hub.mu.
	readers int
	stop    context.CancelFunc
	value   []byte
	changed chan struct{} // closed when value is replaced
}

// New makes a Hub; it asks nothing yet.
func New(cfg Config) *Hub {
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	if cfg.MaxReaders == 0 {
		cfg.MaxReaders = 512
	}
	h := &Hub{cfg: cfg, topics: map[string]*topic{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for name, source := range cfg.Topics {
		h.topics[name] = &topic{source: source, changed: make(chan struct{})}
	}
	return h
}

// Close ends all streams and questions and waits for them. Idempotent.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.wg.Wait()
}

// join counts a stream in; each success needs one leave with the same names.
func (h *Hub) join(names []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return fmt.Errorf("events: %w", vstack.ErrClosed)
	}
	if h.readers >= h.cfg.MaxReaders {
		return fmt.Errorf("events: %w: %d streams are open", vstack.ErrUnavailable, h.readers)
	}
	for _, n := range names {
		if h.topics[n] == nil {
			return fmt.Errorf("topic %q: %w", n, vstack.ErrNotFound)
		}
	}
	h.readers++
	h.wg.Add(1) // Close waits for the stream
	for _, n := range names {
		t := h.topics[n]
		if t.readers++; t.readers == 1 {
			var ctx context.Context
			ctx, t.stop = context.WithCancel(h.ctx)
			h.wg.Go(func() { h.ask(ctx, t) })
		}
	}
	return nil
}

func (h *Hub) leave(names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.wg.Done()
	h.readers--
	for _, n := range names {
		t := h.topics[n]
		if t.readers--; t.readers == 0 {
			t.stop()
			t.value = nil // whoever comes next wants no old news
		}
	}
}

// ask keeps a topic's value until nobody reads it.
func (h *Hub) ask(ctx context.Context, t *topic) {
	tick := time.NewTicker(h.cfg.Every)
	defer tick.Stop()
	for {
		h.askOnce(ctx, t)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// askOnce replaces the value if the source has another one. A source that fails says so
// in the stream: a page must not show old figures as if they were new.
func (h *Hub) askOnce(ctx context.Context, t *topic) {
	v, err := t.source(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		v = map[string]string{"error": err.Error()}
	}
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte(`{"error":"value does not marshal"}`)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil || bytes.Equal(b, t.value) {
		return
	}
	t.value = b
	close(t.changed)
	t.changed = make(chan struct{})
}

// look returns a topic's value and what is closed when it changes.
func (h *Hub) look(name string) ([]byte, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[name]
	return t.value, t.changed
}
