package pages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/policy"
)

// Bounds of a comparison.
const (
	maxPairs   = 20
	maxSeconds = 120 // of media that each play
	maxSpeed   = 16
	// maxPoints bounds the timeline of a play; a point comes every pointStep.
	maxPoints = 600
	pointStep = 200 * time.Millisecond
)

// PlayRequest is one play of a comparison.
type PlayRequest struct {
	Video  vstack.VideoID
	Policy string
	Speed  float64
	Over   network.Network // nil: what there is
}

// Players plays a film as one policy would, until ctx ends; onEvent hears how it goes.
type Players func(ctx context.Context, r PlayRequest, onEvent func(quicclient.Event)) (quicclient.Report, error)

// CompareRequest asks for two policies, paired: each pair plays the beginning of the film
// once with either, in turn, the first one taking turns as well.
type CompareRequest struct {
	Video   vstack.VideoID `json:"video"`
	Smart   string         `json:"smart"`
	Naive   string         `json:"naive"`
	Pairs   int            `json:"pairs"`
	Seconds float64        `json:"seconds"` // of media
	Speed   float64        `json:"speed"`   // media seconds a second
	// Links are emulated ones between the viewer and the stores; empty: those that there are. Each
	// pair has links of its own, both of its plays the same.
	Links string `json:"links,omitempty"`
}

// Comparison is how far a comparison is.
type Comparison struct {
	CompareRequest
	Policies []string      `json:"policies"` // that there are
	Kinds    []LinkKind    `json:"kinds"`    // of links that can be emulated
	Running  bool          `json:"running"`
	Now      string        `json:"now"` // smart or naive, while it plays
	Started  time.Time     `json:"started"`
	Error    string        `json:"error,omitempty"`
	Runs     []ComparePair `json:"runs"`
	Figures  []Figure      `json:"figures"`
}

// ComparePair is one play of each; nil where it has not been.
type ComparePair struct {
	Smart *CompareRun `json:"smart"`
	Naive *CompareRun `json:"naive"`
}

// CompareRun is one play.
type CompareRun struct {
	Startup   float64                 `json:"startup"` // seconds
	Stalls    int                     `json:"stalls"`
	StallTime float64                 `json:"stall_time"`
	P50       float64                 `json:"p50"` // of a chunk, seconds
	P95       float64                 `json:"p95"`
	Bytes     int64                   `json:"bytes"`
	Hedges    int                     `json:"hedges"`
	Retries   int                     `json:"retries"`
	Stores    []quicclient.StoreShare `json:"stores"`
	Points    []ComparePoint          `json:"points"`
	// Late says that the emulated links kept bad time, thrice: the pair counts for nothing.
	Late string `json:"late,omitempty"`
}

// ComparePoint is a play at one time since its start.
type ComparePoint struct {
	At     float64 `json:"at"`
	Buffer float64 `json:"buffer"` // seconds ahead
}

// comparer runs one comparison at a time.
type comparer struct {
	*single
	play  Players
	links *linker
	now   Comparison
}

func newComparer(play Players, links *linker) *comparer {
	return &comparer{single: newSingle("compare"), play: play, links: links, now: Comparison{Policies: policy.Names(), Kinds: links.kinds(), Runs: []ComparePair{}, Figures: []Figure{}}}
}

// Validate checks a request and fills in what it leaves out.
func (r *CompareRequest) Validate() error {
	if r.Smart == "" {
		r.Smart = policy.SmartName
	}
	if r.Naive == "" {
		r.Naive = "round-robin"
	}
	switch {
	case r.Video.IsZero():
		return fmt.Errorf("compare: %w: no video", vstack.ErrInvalid)
	case !slices.Contains(policy.Names(), r.Smart) || !slices.Contains(policy.Names(), r.Naive):
		return fmt.Errorf("compare %q and %q: %w: want two of %v", clip(r.Smart), clip(r.Naive), vstack.ErrInvalid, policy.Names())
	case r.Pairs < 1 || r.Pairs > maxPairs || !(r.Seconds >= 1 && r.Seconds <= maxSeconds) || !(r.Speed >= 1 && r.Speed <= maxSpeed):
		return fmt.Errorf("compare: %w: want 1 to %d pairs of 1 to %d seconds at a speed of 1 to %d", vstack.ErrInvalid, maxPairs, maxSeconds, maxSpeed)
	}
	return nil
}

// start begins a comparison unless one runs.
func (c *comparer) start(r CompareRequest) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if err := c.links.know(r.Links); err != nil {
		return err
	}
	began := func() {
		c.now = Comparison{CompareRequest: r, Policies: policy.Names(), Kinds: c.links.kinds(), Running: true, Started: time.Now(), Runs: []ComparePair{}, Figures: []Figure{}}
	}
	return c.begin(began, func(ctx context.Context) func() {
		err := c.run(ctx, r)
		return func() {
			c.now.Running, c.now.Now = false, ""
			if err != nil && ctx.Err() == nil {
				c.now.Error = err.Error()
			}
		}
	})
}

// run plays the pairs; who begins takes turns, so that what is cached or tired favours
// nobody.
func (c *comparer) run(ctx context.Context, r CompareRequest) error {
	for i := range r.Pairs {
		c.mu.Lock()
		c.now.Runs = append(c.now.Runs, ComparePair{})
		c.mu.Unlock()
		for turn := range 2 {
			smart := (i+turn)%2 == 0
			name, chooser := "naive", r.Naive
			if smart {
				name, chooser = "smart", r.Smart
			}
			c.mu.Lock()
			c.now.Now = name
			c.mu.Unlock()
			one, err := c.links.over(ctx, r.Links, uint64(i)+1, func(n network.Network) (*CompareRun, error) {
				return c.once(ctx, r, PlayRequest{Video: r.Video, Policy: chooser, Speed: r.Speed, Over: n})
			})
			if err != nil {
				return fmt.Errorf("%s, pair %d: %w", chooser, i+1, err)
			}
			c.mu.Lock()
			pair := &c.now.Runs[i]
			if smart {
				pair.Smart = one
			} else {
				pair.Naive = one
			}
			c.now.Figures = figures(c.now.Runs)
			c.mu.Unlock()
		}
	}
	return nil
}

// once plays the beginning of the film.
func (c *comparer) once(ctx context.Context, r CompareRequest, as PlayRequest) (*CompareRun, error) {
	play, enough := context.WithCancel(ctx)
	defer enough()
	one := &CompareRun{Points: []ComparePoint{}}
	var last time.Duration
	report, err := c.play(play, as, func(e quicclient.Event) {
		if at := e.Time; (at-last >= pointStep || len(one.Points) == 0) && len(one.Points) < maxPoints {
			last = at
			one.Points = append(one.Points, ComparePoint{At: at.Seconds(), Buffer: max(e.Buffered.Seconds(), 0)})
		}
		if e.Position.Seconds() >= r.Seconds {
			enough()
		}
	})
	if err != nil && (ctx.Err() != nil || !errors.Is(err, context.Canceled)) {
		return nil, err
	}
	one.Startup, one.Stalls, one.StallTime = report.Startup, report.Stalls, report.StallTime
	one.P50, one.P95 = report.Latency.P50, report.Latency.P95
	one.Bytes, one.Hedges, one.Retries, one.Stores = report.Bytes, report.Hedges, report.Retries, report.Stores
	return one, nil
}

func (s *Server) getCompare(w http.ResponseWriter, _ *http.Request) {
	s.compare.mu.Lock()
	now := s.compare.now
	now.Runs = slices.Clone(now.Runs)
	s.compare.mu.Unlock()
	answer(w, now)
}

func (s *Server) postCompare(w http.ResponseWriter, r *http.Request) {
	var req CompareRequest
	err := read(w, r, &req)
	if err == nil {
		err = s.compare.start(req)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// deleteCompare stops the comparison; what was measured stays.
func (s *Server) deleteCompare(w http.ResponseWriter, _ *http.Request) {
	s.compare.cancel(func() {})
	w.WriteHeader(http.StatusNoContent)
}
