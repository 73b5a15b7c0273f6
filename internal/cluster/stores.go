package cluster

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// replacePoll is how often the placement is asked for while roles move.
const replacePoll = 200 * time.Millisecond

// StoreRow is a store with its report and its roles.
type StoreRow struct {
	wire.NodeStore
	Roles Roles `json:"roles"`
}

// Roles counts the placement groups that a store serves.
type Roles struct {
	Votes   int `json:"votes"`   // groups in which it is an acceptor
	Targets int `json:"targets"` // groups that name it, those included
	// Gaining and Losing are groups whose next epoch, which is being prepared, gives it a
	// role or takes one.
	Gaining int `json:"gaining"`
	Losing  int `json:"losing"`
}

// RolesOf counts a store's roles.
func RolesOf(m *vstack.PlacementMap, id vstack.StoreID) (r Roles) {
	for _, g := range m.Groups {
		has := g.Index(id) >= 0
		if has {
			r.Targets++
		}
		if slices.Contains(g.Acceptors(), id) {
			r.Votes++
		}
		if g.Next == nil {
			continue
		}
		switch will := slices.Contains(g.Next.Targets, id); {
		case will && !has:
			r.Gaining++
		case has && !will:
			r.Losing++
		}
	}
	return r
}

// Stores lists the stores of some hosts with their roles.
func (c *Cluster) Stores(ctx context.Context, nodes []wire.Node) ([]StoreRow, error) {
	m, err := c.Meta.RefreshPlacement(ctx)
	if err != nil {
		return nil, err
	}
	rows := []StoreRow{}
	for _, n := range nodes {
		for _, s := range n.Stores {
			rows = append(rows, StoreRow{s, RolesOf(m, s.ID)})
		}
	}
	return rows, nil
}

// ScrubStore starts a pass over all that a store holds, at the rate that it is configured
// with.
func (c *Cluster) ScrubStore(ctx context.Context, id vstack.StoreID) (wire.ScrubStatus, error) {
	var st wire.ScrubStatus
	m, err := c.Meta.RefreshPlacement(ctx)
	if err != nil {
		return st, err
	}
	s, ok := m.Store(id)
	if !ok {
		return st, fmt.Errorf("store %s: %w", id, vstack.ErrNotFound)
	}
	return st, c.Call(ctx, http.MethodPost, s.Addr, "/v1/scrub", strings.NewReader("{}"), &st)
}

// Replacement is what became of an order to replace a store.
type Replacement struct {
	Store vstack.StoreID `json:"store"`
	With  vstack.StoreID `json:"with,omitzero"`
	// Groups is how many placement groups the order moves, Left how many name the store
	// when the command ends.
	Groups int `json:"groups"`
	Left   int `json:"left"`
}

// Replace has a store's roles moved, and waits until those that can move have when wait
// is set. Roles that no other store can take are console.ErrDegraded then.
func (c *Cluster) Replace(ctx context.Context, prog *console.Progress, id, with vstack.StoreID, wait bool) (Replacement, error) {
	out := Replacement{Store: id, With: with}
	before, err := c.Meta.RefreshPlacement(ctx)
	if err != nil {
		return out, err
	}
	out.Left = RolesOf(before, id).Targets
	reply, err := c.Meta.ReplaceStore(ctx, id, with)
	if err != nil {
		return out, err
	}
	out.Groups = reply.Groups
	if !wait || reply.Groups == 0 {
		return out, nil
	}
	had, waits := out.Left, ""
	task := prog.Task("replace "+id.String(), console.UnitCount, int64(reply.Groups))
	tick := time.NewTicker(replacePoll)
	defer tick.Stop()
	for {
		m, err := c.Meta.RefreshPlacement(ctx)
		if err != nil && !metaclient.Passes(err) {
			task.Fail(err.Error())
			return out, err
		}
		if err == nil {
			roles := RolesOf(m, id)
			out.Left = roles.Targets
			if now, err := c.waitsOf(ctx, id); err == nil && now != waits {
				if waits = now; waits != "" {
					task.Note(waits)
				}
			}
			task.Set(int64(had-roles.Targets), int64(reply.Groups), waits)
			if roles.Targets <= had-reply.Groups && roles.Losing == 0 {
				task.End(fmt.Sprintf("%d groups moved", had-roles.Targets))
				break
			}
		}
		select {
		case <-ctx.Done():
			task.Fail("not waited for")
			if waits != "" {
				waits = "; it waits: " + waits
			}
			return out, fmt.Errorf("replace store %s: %d of %d groups have moved%s: %w", id, had-out.Left, reply.Groups, waits, ctx.Err())
		case <-tick.C:
		}
	}
	if out.Left > 0 {
		return out, fmt.Errorf("replace store %s: %w: no other store can take its remaining %d roles", id, console.ErrDegraded, out.Left)
	}
	return out, nil
}

// waitsOf is why roles of a store do not move yet; "" where they do.
func (c *Cluster) waitsOf(ctx context.Context, id vstack.StoreID) (string, error) {
	orders, err := c.Meta.Orders(ctx)
	if err != nil {
		return "", err
	}
	for _, o := range orders {
		if o.Store == id {
			return strings.Join(o.Waits, "; "), nil
		}
	}
	return "", nil
}
