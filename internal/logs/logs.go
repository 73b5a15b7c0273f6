package logs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	// burst and refill bound the lines of one level and message: burst at once, then one each
	// refill.
	burst  = 20
	refill = 3 * time.Second
	// maxKinds bounds the messages that are counted apart; messages are constants, so that this
	// is only met by a mistake.
	maxKinds = 1000
)

// Handler is a slog.Handler.
type Handler struct {
	to    slog.Handler
	attrs []slog.Attr // of With, a key once; those of groups are with the handler below
	group bool        // a group is open: attributes go to the handler below
	limit *limiter
}

// New makes a handler above another.
func New(to slog.Handler) *Handler {
	return &Handler{to: to, limit: &limiter{kinds: map[kind]*bucket{}, now: time.Now}}
}

// Enabled is of slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.to.Enabled(ctx, level)
}

// WithAttrs is of slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	if h.group {
		next.to = h.to.WithAttrs(attrs)
		return &next
	}
	next.attrs = merge(slices.Clone(h.attrs), attrs...)
	return &next
}

// WithGroup is of slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	// What is said so far is outside of the group.
	next.to, next.attrs, next.group = h.to.WithAttrs(h.attrs).WithGroup(name), nil, true
	return &next
}

// Handle is of slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	left, say := h.limit.take(r.Level, r.Message)
	if !say {
		return nil
	}
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool { attrs = merge(attrs, a); return true })
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		attrs = merge(attrs, slog.String("trace", span.TraceID().String()))
	}
	if left > 0 {
		attrs = merge(attrs, slog.Int("unsaid", left))
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	out.AddAttrs(attrs...)
	return h.to.Handle(ctx, out)
}

// merge adds attributes; of a key that is there already the value is replaced, in its place.
func merge(attrs []slog.Attr, more ...slog.Attr) []slog.Attr {
	for _, a := range more {
		i := slices.IndexFunc(attrs, func(b slog.Attr) bool { return b.Key == a.Key })
		if i >= 0 {
			attrs[i] = a
			continue
		}
		attrs = append(attrs, a)
	}
	return attrs
}

type kind struct {
	level   slog.Level
	message string
}

type bucket struct {
	tokens float64
	at     time.Time
	left   int // since the last line
}

// limiter is shared by all handlers that come of one.
type limiter struct {
	now func() time.Time

	mu    sync.Mutex
	kinds map[kind]*bucket
}

// take says whether a line may be written, and how many of its kind were left out before.
func (l *limiter) take(level slog.Level, message string) (left int, say bool) {
	if level < slog.LevelInfo {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k, now := kind{level, message}, l.now()
	b := l.kinds[k]
	if b == nil {
		if len(l.kinds) >= maxKinds {
			clear(l.kinds)
		}
		b = &bucket{tokens: burst, at: now}
		l.kinds[k] = b
	}
	b.tokens = min(burst, b.tokens+now.Sub(b.at).Seconds()/refill.Seconds())
	b.at = now
	if b.tokens < 1 {
		b.left++
		return 0, false
	}
	b.tokens--
	left, b.left = b.left, 0
	return left, true
}
