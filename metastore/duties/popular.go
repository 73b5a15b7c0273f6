package duties

import (
	"context"
	"math"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/heat"
	"github.com/vstack/vstack/metastore/placed"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/reconfigure"
	"github.com/vstack/vstack/metastore/redundancy"
)

const (
	// readTime is how long a look reads the catalog for the figures of all videos.
	readTime = 20 * time.Millisecond
	// maxWaiting bounds the videos that a status names.
	maxWaiting = 20
)

// popular lets views decay, and takes what popularity asks for.
func (c *Classes) popular(ctx context.Context, l raftnode.Leadership, view *catalog.View) {
	c.mu.Lock()
	c.ledger.Look(view, readTime)
	c.mu.Unlock()
	now := time.Now()
	c.age(ctx, view, now)
	if now.Before(c.next) {
		return
	}
	policy, _ := view.Redundancy()
	w := redundancy.Wish(policy, now, view.Published())
	c.planner.Wish(view, w.To)
	c.mu.Lock()
	c.wishes = w
	c.mu.Unlock()
	c.figures.show(c.Status(l, view))
	c.next = now.Add(max(c.every, 20*time.Since(now)))
}

// age commits the steps of decay that have passed since the last one, by this leader's clock.
// A clock that was ahead has views decay early, and then not until it is caught up with.
func (c *Classes) age(ctx context.Context, view *catalog.View, now time.Time) {
	steps, at := view.Aged()
	policy, _ := view.Redundancy()
	p := command.AgeViewsPayload{From: steps, At: now}
	if !at.IsZero() {
		step := time.Duration(heat.Step(policy)) * time.Second
		n := now.Sub(at) / step
		if n < 1 {
			return
		}
		p.Steps, p.At = uint32(min(n, math.MaxUint32)), at.Add(n*step)
	}
	ctx, cancel := context.WithTimeout(ctx, ProposeTimeout)
	defer cancel()
	if _, err := c.Propose(ctx, command.AgeViews, p); err != nil { // the next look tries again
		c.Logger.Warn("views do not decay for now", "err", err)
	}
}

// Judge answers what videos bear by what this leader has heard; of a catalog whose placement
// is ready.
func (c *Classes) Judge(l raftnode.Leadership, view *catalog.View) *redundancy.Judge {
	return c.judge(l, view, "")
}

// judge is Judge with a host taken for silent, if one is named.
func (c *Classes) judge(l raftnode.Leadership, view *catalog.View, without vstack.HostID) *redundancy.Judge {
	at := placed.Of(view)
	at.Silent, at.Claims = c.Silent(l, at.Map), c.Monitor.Claims()
	for _, st := range at.Map.Stores {
		if st.Host == without {
			at.Silent[st.ID] = true
		}
	}
	return redundancy.NewJudge(redundancy.State{Map: at.Map, Claim: reconfigure.NewWholes(at).Claim, Floor: view.ClassFloor()})
}

// Without says what would be known to be held if a host did not answer.
func (c *Classes) Without(l raftnode.Leadership, view *catalog.View, host vstack.HostID) wire.Redundancy {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ledger.Look(view, readTime)
	return c.ledger.Sum(c.judge(l, view, host), 0)
}

// Status says how videos lie, where they go, and what may fail, as this leader knows it.
func (c *Classes) Status(l raftnode.Leadership, view *catalog.View) wire.Redundancy {
	var out wire.Redundancy
	policy, paused := view.Redundancy()
	c.mu.Lock()
	defer c.mu.Unlock()
	if view.Placement().Ready() {
		out = c.ledger.Sum(c.Judge(l, view), policy.HostsCanFail)
	}
	out.Policy, out.Paused = policy, paused
	out.ToCool, out.ToWarm, out.Later, out.Spent = c.wishes.Cool, c.wishes.Warm, c.wishes.Later, c.wishes.Spent
	out.Moving = c.last.Moving
	for _, h := range c.last.Held {
		if h.Groups > 0 && !h.Paused {
			continue // it moves, and its stores are at it
		}
		if out.Waits++; len(out.Waiting) < maxWaiting {
			out.Waiting = append(out.Waiting, wire.WaitingVideo{Video: h.Video, To: h.To, Why: h.Why()})
		}
	}
	return out
}

// Plan says what a policy would have done now.
func (c *Classes) Plan(view *catalog.View, p vstack.RedundancyPolicy) (wire.RedundancyPlan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger.Plan(view, p, time.Now())
}
