package operate

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func Node(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Hosts of the cluster"}
	cmd.AddCommand(&cobra.Command{
		Use: "ls", Short: "List the hosts", Args: cobra.NoArgs,
		Long: "Lists the hosts. Exit code 6: one is not up, or placement groups take no writes.",
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			nodes, err := c.Meta.Nodes(ctx)
			if err != nil {
				return err
			}
			held, err := c.Meta.HeldGroups(ctx)
			if err != nil {
				held = nil // a cluster whose program does not tell
			}
			if err := p.Print(wire.List[wire.Node]{Items: nodes}, func() console.Table {
				t := nodeTable(nodes, time.Now())
				if len(held) > 0 {
					t.Foot = lacking(len(held)) + " and take no writes: vstack group held"
				}
				return t
			}); err != nil {
				return err
			}
			if away := awayHosts(nodes); away != "" {
				return console.Hint(fmt.Errorf("%w: not up: %s", console.ErrDegraded, away), "vstack status")
			}
			return heldError(len(held))
		}),
	}, &cobra.Command{
		Use: "info HOST", Short: "One host and its stores", Args: cobra.ExactArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			nodes, err := c.Meta.Nodes(ctx)
			if err != nil {
				return err
			}
			for _, n := range nodes {
				if n.Host == vstack.HostID(args[0]) {
					nodes = []wire.Node{n}
					stores, err := c.Stores(ctx, nodes)
					if err != nil {
						return err
					}
					return p.Print(n, func() console.Table { return storeTable(nodes, stores, time.Now()) })
				}
			}
			return console.Hint(fmt.Errorf("host %s: %w", args[0], vstack.ErrNotFound), "vstack node ls")
		}),
	}, newDecommission(a), newOKToStop(a))
	cmd.AddCommand(orderCommands(a, "host", pickHosts)...)
	return cmd
}

// unknown stands where a figure would be that nobody told: a new leader has not heard from a
// store, or it is down, and what it had and said before it went counts for nothing.
const unknown = "-"

func nodeTable(nodes []wire.Node, now time.Time) console.Table {
	t := console.Table{
		Head:  []string{"host", "state", "stores", "chunks", "used", "capacity", "missing", "seen", "version"},
		Right: []int{2, 3, 4, 5, 6}, Flex: "version", Yield: []string{"chunks", "seen"}, Empty: "no host has registered yet",
	}
	for _, n := range nodes {
		var chunks, used, capacity, missing int64
		told := len(n.Stores) == 0
		for _, s := range n.Stores {
			if s.State == vstack.StoreDown {
				continue
			}
			capacity += s.Capacity
			if s.Report != nil {
				told = true
				chunks, used, missing = chunks+s.Report.Chunks, used+s.Report.Holds(), missing+s.Report.Missing
			}
		}
		row := []any{n.Host, n.State, len(n.Stores), chunks, console.Bytes(used), console.Bytes(capacity), missing, console.Ago(n.LastSeen, now), n.Version}
		if !told {
			row[3], row[4], row[6] = unknown, unknown, unknown
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func storeTable(nodes []wire.Node, stores []cluster.StoreRow, now time.Time) console.Table {
	t := console.Table{
		Head:  []string{"store", "host", "address", "state", "votes", "targets", "chunks", "used", "capacity", "missing", "corrupt", "reads", "served", "seen"},
		Right: []int{4, 5, 6, 7, 8, 9, 10, 11, 12}, Empty: "no store has registered yet",
		Yield: []string{"served", "reads", "targets", "corrupt", "missing", "votes", "seen", "capacity", "chunks", "used"},
	}
	seen := map[vstack.HostID]time.Time{}
	for _, n := range nodes {
		seen[n.Host] = n.LastSeen
	}
	for _, s := range stores {
		r := s.Report
		if s.State == vstack.StoreDown {
			r = nil
		}
		row := []any{s.ID, s.Host, s.Addr, storeState(s, cmp.Or(r, &wire.StoreReport{})), s.Roles.Votes, s.Roles.Targets,
			unknown, unknown, console.Bytes(s.Capacity), unknown, unknown, unknown, unknown, console.Ago(seen[s.Host], now)}
		if r != nil {
			row[6], row[7], row[9], row[10], row[11], row[12] = r.Chunks, console.Bytes(r.Holds()), r.Missing, r.Corrupt, r.Reads, console.Bytes(r.ReadSize)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// storeState is a store's state with all that a person should know beside it.
func storeState(s cluster.StoreRow, r *wire.StoreReport) string {
	state := string(s.State)
	if r.Full {
		state += ", full"
	}
	if r.Missing > 0 {
		state += fmt.Sprintf(", %d missing", r.Missing)
	}
	if r.Corrupt > 0 {
		state += fmt.Sprintf(", %d corrupt", r.Corrupt)
	}
	if r.Mute != "" {
		state += ", no vote"
	}
	if o := orderOf(s.Cordoned, s.Leaving); o != "" {
		state += ", " + o
	}
	if s.Roles.Losing > 0 {
		state += fmt.Sprintf(", -%d", s.Roles.Losing)
	}
	if s.Roles.Gaining > 0 {
		state += fmt.Sprintf(", +%d", s.Roles.Gaining)
	}
	return state
}

// awayHosts are the hosts with a store that is not up.
func awayHosts(nodes []wire.Node) string {
	var away []string
	for _, n := range nodes {
		if n.State != vstack.StoreUp {
			away = append(away, string(n.Host))
		}
	}
	return strings.Join(away, ", ")
}
