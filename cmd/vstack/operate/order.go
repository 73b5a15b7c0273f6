package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// orderPoll is how often a drain that is waited for is asked how far it is.
const orderPoll = 500 * time.Millisecond

// pick resolves what a command names to stores: themselves, or all those of hosts.
type pick func(ctx context.Context, c *cluster.Cluster, names []string) ([]vstack.Store, error)

// orderWords are the orders and what they say of themselves.
var orderWords = []struct {
	order         vstack.StoreOrder
	use, short    string
	long, confirm string
}{
	{vstack.OrderDrain, "drain", "Move every role to other stores, and take no new one",
		"Moves every role to other stores, a few placement groups at a time, as fast as those copy. Nothing is deleted before others have it.\n" +
			"Refused at once, with the figures, if it could never end. It goes on through changes of leaders and restarts; undrain ends it.", ""},
	{vstack.OrderUndrain, "undrain", "End a drain: take roles again, keep those that have not moved", "", ""},
	{vstack.OrderCordon, "cordon", "Take no new role, and keep those that there are", "", ""},
	{vstack.OrderUncordon, "uncordon", "Take roles again", "", ""},
	{vstack.OrderRemove, "rm", "Forget what is drained and does not run any more",
		"Takes stores without roles out of the catalog, and of every listing. Refused for stores that run, and while other stores lack something\nthat these may hold; --force gives that up.",
		"forget %s, for good"},
}

// orderCommands are the orders for what pick resolves, which is called what.
func orderCommands(a *cli.App, what string, of pick) (out []*cobra.Command) {
	for _, w := range orderWords {
		var wait, yes, force bool
		cmd := &cobra.Command{Use: w.use + " " + strings.ToUpper(what) + "…", Short: w.short, Long: w.long, Args: cobra.MinimumNArgs(1)}
		cmd.RunE = a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			stores, err := of(ctx, c, args)
			if err != nil {
				return err
			}
			if w.confirm != "" {
				if err := cli.Confirm(yes, fmt.Sprintf(w.confirm, strings.Join(args, ", "))); err != nil {
					return err
				}
			}
			if _, err := c.Meta.Order(ctx, wire.OrderRequest{Stores: idsOf(stores), Order: w.order, Force: force}); err != nil {
				return console.Hint(err, "vstack store ls")
			}
			if w.order == vstack.OrderRemove {
				orders, err := c.Meta.Orders(ctx)
				if err != nil {
					return err
				}
				return p.Print(wire.List[wire.StandingOrder]{Items: orders}, func() console.Table { return forgottenTable(stores) })
			}
			if wait {
				// Not bound by the deadline of one call.
				ctx, cancel := a.Deadline(cmd.Context(), 0)
				defer cancel()
				if err := waitDrained(ctx, a, c, stores); err != nil {
					return errors.Join(err, printOrders(ctx, c, p, stores))
				}
			}
			return printOrders(ctx, c, p, stores)
		})
		if w.confirm != "" {
			cmd.Use += " --yes"
			cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
			cmd.Flags().BoolVar(&force, "force", false, "also while other stores lack something: what only these hold is given up")
		}
		if w.order == vstack.OrderDrain {
			cmd.Flags().BoolVar(&wait, "wait", false, "wait until no role is left and others have everything")
		}
		out = append(out, cmd)
	}
	return out
}

func forgottenTable(stores []vstack.Store) console.Table {
	t := console.Table{Head: []string{"store", "host", "address"}, Foot: "forgotten: in no listing any more"}
	for _, s := range stores {
		t.Rows = append(t.Rows, []any{s.ID, s.Host, s.Addr})
	}
	return t
}

func idsOf(stores []vstack.Store) (ids []vstack.StoreID) {
	for _, s := range stores {
		ids = append(ids, s.ID)
	}
	return ids
}

// pickStores finds stores by id or address, pickHosts all those of hosts.
func pickStores(ctx context.Context, c *cluster.Cluster, names []string) ([]vstack.Store, error) {
	return selectStores(ctx, c, names)
}

func pickHosts(ctx context.Context, c *cluster.Cluster, names []string) ([]vstack.Store, error) {
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	var out []vstack.Store
	for _, name := range names {
		i := slices.IndexFunc(nodes, func(n wire.Node) bool { return string(n.Host) == name })
		if i < 0 {
			return nil, console.Hint(fmt.Errorf("host %s: %w", name, vstack.ErrNotFound), "vstack node ls")
		}
		for _, s := range nodes[i].Stores {
			out = append(out, s.Store)
		}
	}
	return out, nil
}

// waitDrained waits until stores have no role, and no store lacks anything of what it took.
func waitDrained(ctx context.Context, a *cli.App, c *cluster.Cluster, stores []vstack.Store) error {
	prog, err := a.Progress()
	if err != nil {
		return err
	}
	defer prog.Close()
	task := prog.Task("drain", console.UnitCount, 0)
	tick := time.NewTicker(orderPoll)
	defer tick.Stop()
	total, said := int64(-1), ""
	for {
		left, missing, waits, err := drainState(ctx, c, stores)
		if err != nil && !metaclient.Passes(err) {
			task.Fail(err.Error())
			return err
		}
		total = max(total, left)
		switch {
		case err != nil: // it is asked again
		case left > 0:
			text := strings.Join(waits, "; ")
			task.Set(total-left, total, text)
			if text != said && text != "" {
				task.Note(text)
			}
			said = text
		case missing > 0:
			task.Set(total, total, fmt.Sprintf("roles have moved; %d chunks are still to be copied", missing))
		default:
			task.End(fmt.Sprintf("%d roles moved", total))
			return nil
		}
		select {
		case <-ctx.Done():
			task.Fail("not waited for; it goes on")
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// drainState says how many roles stores have left, how many chunks others lack, and what is
// waited for.
func drainState(ctx context.Context, c *cluster.Cluster, stores []vstack.Store) (roles, missing int64, waits []string, err error) {
	m, err := c.Meta.RefreshPlacement(ctx)
	if err != nil {
		return 0, 0, nil, err
	}
	for _, s := range stores {
		roles += int64(cluster.RolesOf(m, s.ID).Targets)
	}
	if roles > 0 {
		orders, err := c.Meta.Orders(ctx)
		if err != nil {
			return 0, 0, nil, err
		}
		for _, o := range orders {
			if slices.ContainsFunc(stores, func(s vstack.Store) bool { return s.ID == o.Store }) && len(o.Waits) > 0 {
				waits = append(waits, o.Waits[0])
			}
		}
		return roles, 0, waits, nil
	}
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return 0, 0, nil, err
	}
	for _, n := range nodes {
		for _, s := range n.Stores {
			if s.Report != nil && s.State != vstack.StoreDown && !slices.ContainsFunc(stores, func(d vstack.Store) bool { return d.ID == s.ID }) {
				missing += s.Report.Missing
			}
		}
	}
	return 0, missing, nil, nil
}

// printOrders shows what holds for some stores, all of them if none is named.
func printOrders(ctx context.Context, c *cluster.Cluster, p *console.Printer, stores []vstack.Store) error {
	orders, err := c.Meta.Orders(ctx)
	if err != nil {
		return err
	}
	orders = slices.DeleteFunc(orders, func(o wire.StandingOrder) bool {
		return stores != nil && !slices.ContainsFunc(stores, func(s vstack.Store) bool { return s.ID == o.Store })
	})
	return p.Print(wire.List[wire.StandingOrder]{Items: orders}, func() console.Table {
		t := console.Table{Head: []string{"store", "host", "order", "roles", "moving", "stay"}, Right: []int{3, 4, 5}, Empty: "no store is cordoned or leaves"}
		for _, o := range orders {
			t.Rows = append(t.Rows, []any{o.Store, o.Host, orderOf(o.Cordoned, o.Leaving), o.Roles, o.Moving, o.Stay})
			for _, why := range o.Waits {
				t.Foot += fmt.Sprintf("store %s on %s waits: %s\n", o.Store, o.Host, why)
			}
		}
		t.Foot = strings.TrimSuffix(t.Foot, "\n")
		return t
	})
}

// orderOf names what holds for a store.
func orderOf(cordoned bool, leaving vstack.Leave) string {
	switch {
	case leaving == vstack.LeaveDead:
		return "lost"
	case leaving == vstack.LeaveOrdered && cordoned:
		return "drain"
	case leaving == vstack.LeaveOrdered:
		return "replace"
	case cordoned:
		return "cordon"
	}
	return ""
}
