package live

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Figures takes one sample: numbers by name. What it cannot say it leaves out.
type Figures func(context.Context) (map[string]float64, error)

// HistoryConfig configures a History. Zero values take their defaults.
type HistoryConfig struct {
	Figures Figures
	// Every is the time between two samples. Default 2 s.
	Every time.Duration
	// Idle is how long samples are taken after the last question. Default 1 h.
	Idle time.Duration
	// MaxNames bounds the names that are kept; what comes later is left out. Default 128.
	MaxNames int
}

// span is a stretch of the past at one resolution.
type span struct {
	name  string
	merge int // samples to a value
	keep  int // values
}

// At the default of 2 s: a value every 2 s, 30 s, 5 min.
var spans = []span{{"10m", 1, 300}, {"2h", 15, 240}, {"24h", 150, 288}}

// Spans are the names that a history may be asked for.
func Spans() []string { return []string{spans[0].name, spans[1].name, spans[2].name} }

// History keeps samples of the past in rings of a fixed size.
type History struct {
	cfg    HistoryConfig
	ctx    context.Context // ends the sampler
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	asked   time.Time
	running bool
	last    time.Time // of the last sample
	taken   int       // samples, the missed ones included
	values  map[string]*[3][]Value
	partial map[string]*[3]mean
}

// Value is a number, or NaN for none, which JSON has as null.
type Value float64

// MarshalJSON keeps six digits: a chart shows no more.
func (v Value) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(v), 'g', 6, 64), nil
}

// mean gathers the samples of a value under way.
type mean struct {
	sum float64
	n   int
}

func (m mean) value() Value {
	if m.n == 0 {
		return Value(math.NaN())
	}
	return Value(m.sum / float64(m.n))
}

// Series is a history as it is answered: values by name, equally spaced, the last at End.
type Series struct {
	Span   string             `json:"span"`
	Step   float64            `json:"step"` // seconds between two values
	End    time.Time          `json:"end"`
	Values map[string][]Value `json:"values"`
}

// NewHistory makes a History. It takes no sample before it is asked for the first time,
// and none once nobody has asked for Idle.
func NewHistory(cfg HistoryConfig) *History {
	if cfg.Every == 0 {
		cfg.Every = 2 * time.Second
	}
	if cfg.Idle == 0 {
		cfg.Idle = time.Hour
	}
	if cfg.MaxNames == 0 {
		cfg.MaxNames = 128
	}
	h := &History{cfg: cfg, values: map[string]*[3][]Value{}, partial: map[string]*[3]mean{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Close ends the sampler and waits for it. Idempotent.
func (h *History) Close() {
	h.cancel()
	h.wg.Wait()
}

// Get returns a span of the past.
func (h *History) Get(name string) (Series, error) {
	i := slices.IndexFunc(spans, func(s span) bool { return s.name == name })
	if i < 0 {
		return Series{}, fmt.Errorf("span %q: %w: want one of %v", name, vstack.ErrInvalid, Spans())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = time.Now()
	if !h.running && h.ctx.Err() == nil {
		h.running = true
		h.wg.Go(h.run)
	}
	s := Series{Span: name, Step: h.cfg.Every.Seconds() * float64(spans[i].merge), End: h.last, Values: map[string][]Value{}}
	for n, rings := range h.values {
		s.Values[n] = slices.Clone(rings[i])
	}
	return s, nil
}

// run takes samples until nobody asks.
func (h *History) run() {
	tick := time.NewTicker(h.cfg.Every)
	defer tick.Stop()
	for {
		sample, err := h.cfg.Figures(h.ctx)
		if err != nil {
			sample = nil // a hole says that nothing was known
		}
		if !h.add(time.Now(), sample) {
			return
		}
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
	}
}

// add keeps a sample, and holes for those that were missed; false ends the sampler.
func (h *History) add(now time.Time, sample map[string]float64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil || now.Sub(h.asked) > h.cfg.Idle {
		h.running = false
		return false
	}
	if missed := int(now.Sub(h.last)/h.cfg.Every) - 1; !h.last.IsZero() && missed > 0 {
		most := spans[2].merge * spans[2].keep
		for range min(missed, most) {
			h.push(nil)
		}
	}
	h.last = now
	h.push(sample)
	return true
}

// push puts one sample into every ring. Mutex held.
func (h *History) push(sample map[string]float64) {
	for _, name := range slices.Sorted(maps.Keys(sample)) {
		if h.values[name] == nil && len(h.values) < h.cfg.MaxNames {
			h.values[name] = h.holes()
			h.partial[name] = &[3]mean{}
		}
	}
	h.taken++
	for name, rings := range h.values {
		v, has := sample[name]
		for i, s := range spans {
			m := &h.partial[name][i]
			if has {
				m.sum, m.n = m.sum+v, m.n+1
			}
			if h.taken%s.merge != 0 {
				continue
			}
			rings[i] = append(rings[i], m.value())
			if len(rings[i]) > s.keep {
				rings[i] = slices.Delete(rings[i], 0, len(rings[i])-s.keep)
			}
			*m = mean{}
		}
	}
}

// holes are the rings of a name that comes late: as long as the others'.
func (h *History) holes() *[3][]Value {
	var out [3][]Value
	for i, s := range spans {
		out[i] = slices.Repeat([]Value{Value(math.NaN())}, min(h.taken/s.merge, s.keep))
	}
	return &out
}
