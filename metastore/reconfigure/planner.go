package reconfigure

import (
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Reason is why an attempt is issued.
type Reason string

const (
	Dead    Reason = "dead"    // a target is taken for lost
	Ordered Reason = "ordered" // an operator's order
	Amnesic Reason = "amnesic" // an acceptor forgot its votes
	Skewed  Reason = "uneven"  // roles are shared out anew
	Overdue Reason = "overdue" // the attempt before did not end in time
	Orphan  Reason = "orphan"  // the driver of the attempt before is gone
)

// maxBackoff bounds the doubling of an attempt's time.
const maxBackoff = 3

// settle is how long an epoch is in force before a report of amnesia counts for it:
// a heartbeat may have been on its way when the epoch began.
const settle = 3 * time.Second

// Config bounds the changes.
type Config struct {
	// Window is how many groups prepare at once. Each stands still for writes meanwhile.
	Window int
	// AttemptTime is what the first attempt of a group gets.
	AttemptTime time.Duration
}

// State is what a decision is made from.
type State struct {
	Map *vstack.PlacementMap
	// Wanted are the stores that operators want in the place of leaving ones.
	Wanted map[vstack.StoreID]vstack.StoreID
	// Amnesia are the last reports of stores that are barred from groups.
	Amnesia map[vstack.StoreID]Report
	// Claims are the last words of stores on what they have, of the processes that run now.
	Claims map[vstack.StoreID]Claims
	// Silent are the stores of which this leader has heard nothing for a while, whatever
	// is committed of them.
	Silent map[vstack.StoreID]bool
	// Published are the groups that may hold chunks of published videos; nil for none.
	Published *[vstack.PlacementGroups]bool
	// Fragmented are the groups in which a video lies, or is to lie, in fragments: they do not
	// do with fewer targets. Nil where that is not known, and none does.
	Fragmented *[vstack.PlacementGroups]bool
	// Balance says that roles are to be shared out anew.
	Balance bool
	Now     time.Time
}

// Report is what an amnesic store said, and when it was heard.
type Report struct {
	Groups []vstack.PG
	At     time.Time
}

// Change is one attempt to issue.
type Change struct {
	PG      vstack.PG
	From    vstack.Epoch
	After   uint32 // the attempt that this one overtakes; 0 for none
	Targets []vstack.StoreID
	Driver  vstack.StoreID
	Reason  Reason
}

// Decision is what to do now, and what cannot be done.
type Decision struct {
	Changes   []Change
	Preparing int           // groups
	Oldest    time.Duration // how long the oldest attempt is out, as this planner knows
	Held      Held
	// Uneven counts the groups that have yet to move for every store to have its share,
	// where that is asked for.
	Uneven int
}

// Planner remembers since when it knows of each attempt and epoch.
type Planner struct {
	cfg      Config
	epochs   [vstack.PlacementGroups]mark
	attempts [vstack.PlacementGroups]mark
}

// mark is the number that was last seen and the time at which it was seen first.
type mark struct {
	number uint64
	since  time.Time
}

func (m *mark) see(number uint64, s State) {
	if m.number != number || m.since.IsZero() {
		*m = mark{number, s.Now}
	}
}

// New makes a planner without a memory.
func New(cfg Config) *Planner { return &Planner{cfg: cfg} }

// Decide compares what is with what should be.
func (p *Planner) Decide(s State) (Decision, error) {
	var d Decision
	for pg, g := range s.Map.Groups {
		p.epochs[pg].see(uint64(g.Epoch), s)
		if g.Next == nil {
			p.attempts[pg] = mark{}
			continue
		}
		p.attempts[pg].see(uint64(g.Epoch)<<32|uint64(g.Next.Attempt), s)
		d.Preparing++
		d.Oldest = max(d.Oldest, s.Now.Sub(p.attempts[pg].since))
	}
	v := survey(s, p.forgotten(s))
	if len(v.dead)+len(v.ordered)+len(v.amnesic)+d.Preparing == 0 && !s.Balance {
		return d, nil
	}
	targets, err := v.replacements(s)
	if err != nil {
		return d, fmt.Errorf("decide epoch changes: %w", err)
	}
	if d.Held.Roles, err = v.stay(s); err != nil {
		return d, fmt.Errorf("decide epoch changes: %w", err)
	}
	under := p.overtake(s, v, targets, &d)
	under = p.begin(s, v, targets, under, &d)
	if s.Balance {
		if err := p.balance(s, v, under, &d); err != nil {
			return d, fmt.Errorf("decide epoch changes: %w", err)
		}
	}
	return d, nil
}

// forgotten lists the amnesic stores of each group, by the reports that are about the
// epoch in force.
func (p *Planner) forgotten(s State) map[vstack.PG][]vstack.StoreID {
	out := map[vstack.PG][]vstack.StoreID{}
	for id, r := range s.Amnesia {
		for _, pg := range r.Groups {
			if int(pg) < len(s.Map.Groups) && slices.Contains(s.Map.Groups[pg].Acceptors(), id) && r.At.Sub(p.epochs[pg].since) >= settle {
				out[pg] = append(out[pg], id)
			}
		}
	}
	return out
}

// overtake issues the next attempt of groups whose last one is over, and returns how many
// groups prepare with a majority.
func (p *Planner) overtake(s State, v *view, targets [][]vstack.StoreID, d *Decision) (under int) {
	for pg, g := range s.Map.Groups {
		if g.Next == nil {
			continue
		}
		group := vstack.PG(pg)
		// A newcomer that died makes room for another, or for whom it was to replace.
		to := g.Next.Targets
		if v.changed(g) {
			if to = targets[pg]; to == nil {
				to = g.Targets
			}
		}
		if !v.majority(group, g.Acceptors()) || !v.majority(group, to[:vstack.Acceptors]) {
			d.Held.Groups = append(d.Held.Groups, group)
			continue
		}
		under++
		why := p.over(g.Next, s.Now.Sub(p.attempts[pg].since), v)
		if why == "" {
			continue
		}
		if driver, ok := v.driver(group, to, g.Next.Driver); ok {
			d.Changes = append(d.Changes, Change{group, g.Epoch, g.Next.Attempt, to, driver, why})
		}
	}
	return under
}

// over says why an attempt that is out for some time is waited for no longer; empty while
// it is. Safety does not rest on it: of two attempts only the last one can be activated.
func (p *Planner) over(next *vstack.NextEpoch, out time.Duration, v *view) Reason {
	switch {
	case !v.drives(next.Driver):
		return Orphan
	case out >= p.cfg.AttemptTime<<min(next.Attempt-1, maxBackoff):
		return Overdue
	}
	return ""
}

// begin prepares groups that should move, as far as the window has room, and returns how
// many prepare with a majority then.
func (p *Planner) begin(s State, v *view, targets [][]vstack.StoreID, under int, d *Decision) int {
	for pg, g := range s.Map.Groups {
		group := vstack.PG(pg)
		to, why := targets[pg], Amnesic
		if g.Next != nil || to == nil && len(v.amnesic[group]) == 0 {
			continue
		}
		if to == nil {
			to = g.Targets
		} else {
			why = v.reason(g.Targets, to)
		}
		if !v.majority(group, g.Acceptors()) || !v.majority(group, to[:vstack.Acceptors]) {
			d.Held.Groups = append(d.Held.Groups, group)
			continue
		}
		if why == Ordered && !v.keepers(s, group, to) {
			d.Held.Copies = append(d.Held.Copies, group)
			continue
		}
		if under >= p.cfg.Window {
			continue
		}
		if driver, ok := v.driver(group, to, vstack.StoreID{}); ok {
			d.Changes = append(d.Changes, Change{group, g.Epoch, 0, to, driver, why})
			under++
		}
	}
	return under
}

// Held is what no epoch change can mend now.
type Held struct {
	// Roles counts, by leaving store, the roles that no other store can take.
	Roles map[vstack.StoreID]int
	// Groups should move and lack a majority of acceptors that can seal or install.
	Groups []vstack.PG
	// Copies are groups that an order would move and that wait until the stores which
	// they keep have everything.
	Copies []vstack.PG
}

// Stay counts, by leaving store, the roles that no other store can take.
func Stay(s State) (map[vstack.StoreID]int, error) {
	roles, err := survey(s, nil).stay(s)
	if err != nil {
		return nil, fmt.Errorf("count roles that stay: %w", err)
	}
	return roles, nil
}

// Movable says how many roles some stores have, and how many of them others can take once all
// of these have left; for wanted, where it is not zero, if only one leaves.
func Movable(s State, wanted vstack.StoreID, ids ...vstack.StoreID) (roles, movable int, err error) {
	v := survey(s, nil)
	s.Wanted = map[vstack.StoreID]vstack.StoreID{}
	for _, id := range ids {
		delete(v.change.Open, id)
		s.Wanted[id] = wanted
	}
	targets, err := v.without(s, ids...)
	if err != nil {
		return 0, 0, fmt.Errorf("move the roles of %d stores: %w", len(ids), err)
	}
	for pg, g := range s.Map.Groups {
		for _, id := range ids {
			if g.Index(id) < 0 {
				continue
			}
			roles++
			if to := targets[pg]; to != nil && !slices.Contains(to, id) || g.Next != nil && !slices.Contains(g.Next.Targets, id) {
				movable++
			}
		}
	}
	return roles, movable, nil
}
