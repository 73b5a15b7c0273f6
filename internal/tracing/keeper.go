package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// maxTraces bounds the traces that are open and not sampled, maxSpans the ended spans of one.
	maxTraces = 4096
	maxSpans  = 128
	// maxWaiting bounds the spans that wait to be sent, maxBatch those of one request.
	maxWaiting = 4096
	maxBatch   = 512
	sendEvery  = time.Second
	// sendTimeout bounds one request to the collector.
	sendTimeout = 5 * time.Second
)

// keeper is the sdk.SpanProcessor that decides at its end which part of a trace is kept.
type keeper struct {
	to   sdk.SpanExporter
	slow time.Duration
	log  *slog.Logger

	mu      sync.Mutex
	open    map[trace.TraceID]*part
	waiting []sdk.ReadOnlySpan
	dropped int
	closed  bool

	wake  chan struct{}
	done  chan struct{}
	ended chan struct{}
	once  sync.Once
}

// part is this process's part of a trace that is not sampled.
type part struct {
	running int
	keep    bool
	spans   []sdk.ReadOnlySpan
}

func newKeeper(to sdk.SpanExporter, slow time.Duration, log *slog.Logger) *keeper {
	k := &keeper{to: to, slow: slow, log: log, open: map[trace.TraceID]*part{}, wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{})}
	go k.run()
	return k
}

// OnStart is of sdk.SpanProcessor.
func (k *keeper) OnStart(_ context.Context, s sdk.ReadWriteSpan) {
	if s.SpanContext().IsSampled() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id := s.SpanContext().TraceID()
	p := k.open[id]
	if p == nil {
		if len(k.open) >= maxTraces {
			return // its spans will be looked at one by one
		}
		p = &part{}
		k.open[id] = p
	}
	p.running++
}

// OnEnd is of sdk.SpanProcessor.
func (k *keeper) OnEnd(s sdk.ReadOnlySpan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.SpanContext().IsSampled() {
		k.add(s)
		return
	}
	id := s.SpanContext().TraceID()
	p := k.open[id]
	if p == nil {
		if k.worth(s) {
			k.add(s)
		}
		return
	}
	p.running--
	if !p.keep && k.worth(s) {
		p.keep = true
		k.add(p.spans...)
		p.spans = nil
	}
	switch {
	case p.keep:
		k.add(s)
	case len(p.spans) < maxSpans:
		p.spans = append(p.spans, s)
	}
	if p.running <= 0 {
		delete(k.open, id)
	}
}

// worth says whether a span makes its trace worth keeping: it failed, was marked, or is the
// process's own part of the trace and slow.
func (k *keeper) worth(s sdk.ReadOnlySpan) bool {
	if s.Status().Code == codes.Error {
		return true
	}
	for _, a := range s.Attributes() {
		if a.Key == keepKey {
			return true
		}
	}
	first := !s.Parent().IsValid() || s.Parent().IsRemote()
	return first && k.slow > 0 && s.EndTime().Sub(s.StartTime()) >= k.slow
}

// add queues spans; mutex held.
func (k *keeper) add(spans ...sdk.ReadOnlySpan) {
	room := max(0, maxWaiting-len(k.waiting))
	if k.closed {
		room = 0
	}
	k.waiting = append(k.waiting, spans[:min(room, len(spans))]...)
	k.dropped += max(0, len(spans)-room)
	if len(k.waiting) >= maxBatch {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

func (k *keeper) run() {
	defer close(k.ended)
	ticker := time.NewTicker(sendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-k.wake:
		case <-ticker.C:
		case <-k.done:
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
		k.send(ctx)
		cancel()
	}
}

// send sends what waits; what the collector does not take is gone.
func (k *keeper) send(ctx context.Context) {
	for {
		k.mu.Lock()
		n := min(len(k.waiting), maxBatch)
		batch := k.waiting[:n:n]
		k.waiting = k.waiting[n:]
		dropped := k.dropped
		k.dropped = 0
		k.mu.Unlock()
		var err error
		if n > 0 {
			if err = k.to.ExportSpans(ctx, batch); err != nil {
				dropped += n
			}
		}
		if dropped > 0 {
			k.log.Warn("spans were dropped", "spans", dropped, "err", err)
		}
		if n < maxBatch || ctx.Err() != nil {
			return
		}
	}
}

// ForceFlush is of sdk.SpanProcessor.
func (k *keeper) ForceFlush(ctx context.Context) error {
	k.send(ctx)
	return ctx.Err()
}

// Shutdown is of sdk.SpanProcessor.
func (k *keeper) Shutdown(ctx context.Context) error {
	var err error
	k.once.Do(func() {
		close(k.done)
		select {
		case <-k.ended:
		case <-ctx.Done():
		}
		k.send(ctx)
		k.mu.Lock()
		k.closed = true
		k.mu.Unlock()
		err = k.to.Shutdown(ctx)
	})
	return err
}
