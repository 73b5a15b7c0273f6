package operate

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Rebalance is the command that shares roles out.
func Rebalance(a *cli.App) *cobra.Command {
	var plan, hold, auto bool
	cmd := &cobra.Command{
		Use: "rebalance", Short: "Give every store its share of the roles", Args: cobra.NoArgs,
		Long: `Gives every store its share of the placement groups, by the size of its disk, and moves as little as that takes. A new host is
filled by itself: this begins where a store misses its share by 30 % and nothing else has moved for a minute. It goes as fast as
stores copy: never more than 8 groups lack something at once. It goes on through changes of leaders and restarts.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			var r wire.BalanceReport
			var err error
			switch {
			case plan:
				r, err = c.Meta.Balance(ctx)
			case hold:
				r, err = c.Meta.SetBalance(ctx, vstack.BalanceHeld)
			case auto:
				r, err = c.Meta.SetBalance(ctx, vstack.BalanceIdle)
			default:
				r, err = c.Meta.SetBalance(ctx, vstack.BalanceRunning)
			}
			if err != nil {
				return err
			}
			return p.Print(r, func() console.Table { return balanceTable(r) })
		}),
	}
	cmd.Flags().BoolVar(&plan, "plan", false, "only show what it would do, and how far it is")
	cmd.Flags().BoolVar(&hold, "hold", false, "stop, and do not begin by itself either")
	cmd.Flags().BoolVar(&auto, "auto", false, "stop, and begin by itself again once stores differ much")
	cmd.MarkFlagsMutuallyExclusive("plan", "hold", "auto")
	return cmd
}

func balanceTable(r wire.BalanceReport) console.Table {
	t := console.Table{Head: []string{"store", "host", "used", "votes", "roles", "then", "change"}, Right: []int{2, 3, 4, 5, 6}, Yield: []string{"votes", "used"},
		Empty: "placement is not assigned yet"}
	for _, s := range r.Stores {
		t.Rows = append(t.Rows, []any{s.Store, s.Host, console.Bytes(s.Used), s.Votes, s.Now, s.Then, fmt.Sprintf("%+d", s.Then-s.Now)})
	}
	switch r.State {
	case vstack.BalanceRunning:
		t.Foot = "roles are being shared out"
	case vstack.BalanceHeld:
		t.Foot = "held: nothing is shared out until  vstack rebalance  or  vstack rebalance --auto"
	default:
		t.Foot = "nothing is being shared out"
	}
	if r.Paused {
		t.Foot = "paused: nothing is shared out until  vstack redundancy resume"
	}
	if r.Groups == 0 {
		t.Foot += "; every store has its share"
	} else {
		t.Foot += fmt.Sprintf("; %d groups have yet to change, %d roles to go to another store, about %s to be copied", r.Groups, r.Roles, console.Bytes(r.Bytes))
		if r.Added > 0 {
			t.Foot += fmt.Sprintf(", %d new roles", r.Added)
		}
	}
	return t
}
