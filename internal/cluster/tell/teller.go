package tell

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
)

const (
	// tellEvery is how often a playback tells a gateway how it fares, tellTimeout how long a
	// gateway may take.
	tellEvery   = 2 * time.Second
	tellTimeout = time.Second
)

// Teller tells of one playback; nil tells nobody.
type Teller struct {
	send    func(ctx context.Context, r sessions.Report) error
	signals func() []quicclient.StoreSignals
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex
	report  sessions.Report
	stalled time.Duration // when the stall began
}

// Config says whom to tell, and of what.
type Config struct {
	// Gateways are HOST:PORTs; none tells nobody.
	Gateways []string
	// Call sends in as JSON to https://addr/path.
	Call func(ctx context.Context, method, addr, path string, in io.Reader, out any) error
	// Signals are what the client knows of its stores.
	Signals func() []quicclient.StoreSignals
	// Manifest is what is played, Policy how its stores are chosen.
	Manifest *vstack.Manifest
	Policy   string
}

// Start begins to tell of a playback; End ends it.
func Start(cfg Config) *Teller {
	if len(cfg.Gateways) == 0 {
		return nil
	}
	path := "/v1/sessions/" + rand.Text()
	next := 0 // the gateway that answered last
	t := &Teller{
		signals: cfg.Signals,
		report:  sessions.Report{Video: cfg.Manifest.Video, Player: "vstack video play", Policy: cfg.Policy, State: "starting", Duration: cfg.Manifest.Duration},
		send: func(ctx context.Context, r sessions.Report) error {
			body, err := json.Marshal(r)
			if err != nil {
				return err
			}
			for range cfg.Gateways {
				if err = cfg.Call(ctx, http.MethodPost, cfg.Gateways[next], path, bytes.NewReader(body), nil); err == nil {
					return nil
				}
				next = (next + 1) % len(cfg.Gateways)
			}
			return err
		},
	}
	t.run()
	return t
}

// run tells every now and then.
func (t *Teller) run() {
	var ctx context.Context
	ctx, t.cancel = context.WithCancel(context.Background())
	t.done = make(chan struct{})
	go func() {
		defer close(t.done)
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		last, at := int64(0), time.Now()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			r := t.now()
			r.Rate = float64(r.Bytes-last) * 8 / time.Since(at).Seconds()
			last, at = r.Bytes, time.Now()
			t.say(ctx, r)
		}
	}()
}

// say tells once; a gateway that is away changes nothing.
func (t *Teller) say(ctx context.Context, r sessions.Report) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	_ = t.send(ctx, r) // a page lacks a row; the playback is what matters
}

// now is the report with what is known of the stores.
func (t *Teller) now() sessions.Report {
	t.mu.Lock()
	r := t.report
	r.Sources = slices.Clone(r.Sources)
	t.mu.Unlock()
	for _, s := range t.signals() {
		i := slices.IndexFunc(r.Sources, func(x sessions.Source) bool { return x.Store == s.Store })
		if i < 0 {
			if s.Conns == 0 {
				continue // nothing is known of it
			}
			i = len(r.Sources)
			r.Sources = append(r.Sources, sessions.Source{Store: s.Store})
		}
		x := &r.Sources[i]
		x.RTT, x.Rate, x.Loss, x.InFlight, x.Ejected = s.RTT.Seconds(), s.Slow*8, s.Loss, s.InFlight, s.Ejected
		if s.Sampled && s.Slow > 0 {
			x.Score = s.TTFB.Seconds() + (1<<20)/s.Slow
		}
	}
	return r
}

// Event takes a step of the playback.
func (t *Teller) Event(e quicclient.Event) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &t.report
	r.Position, r.Buffer = e.Position.Seconds(), max(e.Buffered.Seconds(), 0)
	switch e.Kind {
	case quicclient.EventStarted:
		r.State, r.Startup = "playing", e.Time.Seconds()
	case quicclient.EventStall:
		r.State, t.stalled = "stalled", e.Time
		r.Stalls++
	case quicclient.EventResumed:
		r.State = "playing"
		r.StallTime += (e.Time - t.stalled).Seconds()
	case quicclient.EventChunk:
		r.Chunks++
		r.Bytes += int64(e.Chunk.Size)
		r.Retries += e.Chunk.Retries
		r.Hedges += e.Chunk.Hedges
		i := slices.IndexFunc(r.Sources, func(x sessions.Source) bool { return x.Store == e.Chunk.Store })
		if i < 0 {
			i = len(r.Sources)
			r.Sources = append(r.Sources, sessions.Source{Store: e.Chunk.Store})
		}
		r.Sources[i].Bytes += int64(e.Chunk.Size)
		r.Sources[i].Chunks++
	}
}

// End tells the last, from the playback's own report, and waits for that.
func (t *Teller) End(r quicclient.Report, err error) {
	if t == nil {
		return
	}
	t.cancel()
	<-t.done
	last := t.now()
	last.State, last.Buffer = "ended", 0
	if err != nil {
		last.State = "failed"
	}
	last.Policy = cmp.Or(r.Policy, last.Policy)
	last.Stalls, last.StallTime, last.Startup = r.Stalls, r.StallTime, r.Startup
	if r.Elapsed > 0 {
		last.Rate = float64(r.Bytes) * 8 / r.Elapsed
	}
	t.say(context.Background(), last)
}
