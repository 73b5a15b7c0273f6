package duties

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/classes"
	"github.com/vstack/vstack/metastore/manifest"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/reconfigure"
	"github.com/vstack/vstack/metastore/redundancy"
)

// maxSteps bounds the steps that one look commits; the next is a tick later.
const maxSteps = 64

// Classes is the leader's duty of taking videos from class to class. Stores do the work, and
// say of each group through which index they lack nothing of it: the next step follows.
type Classes struct {
	Member
	cfg    classes.Config
	steps  *prometheus.CounterVec
	moving prometheus.Gauge
	held   prometheus.Gauge
	// every is how often popularity is compared with the policy.
	every   time.Duration
	figures figures

	// Of the duty's goroutine.
	term    uint64
	planner *classes.Planner
	next    time.Time                 // when popularity is looked at again
	told    map[vstack.VideoID]string // why videos cannot cool, as last logged

	mu     sync.Mutex // guards what a status tells
	ledger *redundancy.Ledger
	wishes redundancy.Wishes
	last   classes.Decision
}

// NewClasses makes the duty; Run does it.
func NewClasses(m Member, cfg classes.Config, every time.Duration, reg prometheus.Registerer) (*Classes, error) {
	c := &Classes{
		Member: m, cfg: cfg, every: every, ledger: redundancy.NewLedger(),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vstack_metastore_class_steps_total",
			Help: "Steps of videos' classes that this leader committed, by the class that they led to."}, []string{"to"}),
		moving: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_class_moving_videos",
			Help: "Videos on their way from one class to another, on the leader."}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vstack_metastore_class_held_videos",
			Help: "Videos that should change their class and wait for stores, or for their turn, on the leader."}),
	}
	for _, col := range []prometheus.Collector{c.steps, c.moving, c.held} {
		if err := reg.Register(col); err != nil {
			return nil, fmt.Errorf("register the metrics of classes: %w", err)
		}
	}
	var err error
	c.figures, err = newFigures(reg)
	return c, err
}

// Run looks at each tick: most steps wait for what stores say, of which nobody is told.
func (c *Classes) Run(ctx context.Context) {
	ticker := time.NewTicker(c.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		l, leads := c.Leading()
		if !leads {
			c.rest()
			continue
		}
		if view := c.Catalog.View(); view.Level() >= vstack.LevelFragments {
			c.step(ctx, l, view)
		}
	}
}

// rest forgets what a leader knows.
func (c *Classes) rest() {
	if c.term == 0 {
		return
	}
	c.term, c.planner, c.told, c.next = 0, nil, nil, time.Time{}
	c.moving.Set(0)
	c.held.Set(0)
	c.figures.clear()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger, c.wishes, c.last = redundancy.NewLedger(), redundancy.Wishes{}, classes.Decision{}
}

func (c *Classes) step(ctx context.Context, l raftnode.Leadership, view *catalog.View) {
	if c.term != l.Term {
		c.term, c.planner, c.told, c.next = l.Term, classes.New(c.cfg), map[vstack.VideoID]string{}, time.Time{}
	}
	c.planner.Look(view)
	if view.Level() >= vstack.LevelPolicy {
		c.popular(ctx, l, view)
	}
	var d classes.Decision
	if s := c.state(l, view); !c.planner.Idle() && s.Map.Ready() {
		d = c.planner.Decide(s)
	}
	c.mu.Lock()
	c.last = d
	c.mu.Unlock()
	c.moving.Set(float64(d.Moving))
	c.held.Set(float64(len(d.Held)))
	c.tell(d.Held)
	ctx, cancel := context.WithTimeout(ctx, ProposeTimeout)
	defer cancel()
	for _, step := range d.Steps[:min(len(d.Steps), maxSteps)] {
		switch _, err := c.Propose(ctx, command.StepClass, step); {
		case err == nil:
			c.steps.WithLabelValues(string(step.To)).Inc()
			c.Logger.Info("video changes its class", "video", step.Video, "from", step.From, "to", step.To)
		case errors.Is(err, vstack.ErrClassStale) || errors.Is(err, vstack.ErrNotFound):
			// Another step, a publish or a deletion came in between: the next look is at that.
		default:
			c.Logger.Warn("video does not change its class yet", "video", step.Video, "from", step.From, "to", step.To, "err", err)
			return
		}
	}
}

// state is what a look decides upon.
func (m *Member) state(l raftnode.Leadership, view *catalog.View) classes.State {
	at := placed.Of(view)
	if at.Map.Ready() {
		at.Silent, at.Claims = m.Silent(l, at.Map), m.Monitor.Claims()
	}
	whole := reconfigure.NewWholes(at)
	free := m.Monitor.Free()
	return classes.State{
		Map: at.Map, Floor: view.ClassFloor(), Whole: func(pg vstack.PG) uint64 { return whole.Of(pg).Index },
		Free: func(id vstack.StoreID) (int64, bool) { n, heard := free[id]; return n, heard },
	}
}

// Waiting says in how many groups a video has chunks, and how many of them are not whole
// through its ClassIndex, as this leader heard.
func (c *Classes) Waiting(l raftnode.Leadership, view *catalog.View, v vstack.Video, m *vstack.Manifest) (groups, waiting int) {
	s := c.state(l, view)
	for pg, yes := range manifest.Groups(m) {
		if !yes {
			continue
		}
		if groups++; s.Whole(vstack.PG(pg)) < max(v.ClassIndex, s.Floor, 1) {
			waiting++
		}
	}
	return groups, waiting
}

// tell logs once why videos that a person wants elsewhere cannot go there. Of those that only
// popularity wants elsewhere the status tells: there may be very many.
func (c *Classes) tell(held []classes.Held) {
	told := map[vstack.VideoID]string{}
	for _, h := range held {
		if h.Err == nil || !h.Pinned {
			continue
		}
		told[h.Video] = h.Err.Error()
		if c.told[h.Video] != told[h.Video] {
			c.Logger.Warn("video cannot change its class", "video", h.Video, "to", h.To, "err", h.Err)
		}
	}
	c.told = told
}
