package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// newDecommission drains a host, takes its vote, and says what is left to a person.
func newDecommission(a *cli.App) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "decommission HOST --yes", Short: "Move everything off a host, so that it can be taken away", Args: cobra.ExactArgs(1),
		Long: `Drains every store of a host and waits for it, then removes the host from the metadata members if it is one. It may be ended and
given again at any time: it goes on where it is. Afterwards stop the host's process, and give  vstack node rm HOST --yes  to take
it out of the listings.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			stores, err := pickHosts(ctx, c, args)
			if err != nil {
				return err
			}
			if err := cli.Confirm(yes, "move everything off host "+args[0]+" and end its membership"); err != nil {
				return err
			}
			if _, err := c.Meta.Order(ctx, wire.OrderRequest{Stores: idsOf(stores), Order: vstack.OrderDrain}); err != nil {
				return console.Hint(err, "vstack node ls")
			}
			if err := waitDrained(ctx, a, c, stores); err != nil {
				return errors.Join(err, printOrders(ctx, c, p, stores))
			}
			if err := leaveMembers(ctx, c, args[0]); err != nil {
				return err
			}
			fmt.Fprintf(p.Err, "host %s holds nothing that is needed. Stop its process, then:  vstack node rm %s --yes\n", args[0], args[0])
			return printOrders(ctx, c, p, stores)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
	return cmd
}

// leaveMembers ends a host's membership of the metadata cluster, if it is a member.
func leaveMembers(ctx context.Context, c *cluster.Cluster, host string) error {
	st, err := c.Meta.RaftStatus(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(st.Peers, func(p wire.RaftPeer) bool { return p.ID == host }) {
		return nil
	}
	if err := c.Meta.RemoveMember(ctx, vstack.HostID(host), false); err != nil {
		return console.Hint(err, "vstack raft status")
	}
	return nil
}

// newOKToStop asks whether a host may be stopped now; exit code 6 says no.
func newOKToStop(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "ok-to-stop HOST", Short: "Say whether a host may be stopped now; exit code 6 if not", Args: cobra.ExactArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			if _, err := pickHosts(ctx, c, args); err != nil {
				return err
			}
			r, err := c.Meta.OKToStop(ctx, vstack.HostID(args[0]))
			if err != nil {
				return err
			}
			err = p.Print(r, func() console.Table {
				t := console.Table{Head: []string{"host", "ok to stop"}, Rows: [][]any{{r.Host, r.OK}}, Foot: strings.Join(r.Reasons, "\n")}
				if r.OK {
					t.Foot = "every group can be written and read without it, and a majority of the members stays"
				}
				return t
			})
			if err == nil && !r.OK {
				err = fmt.Errorf("host %s: %w: it is not ok to stop it now", args[0], console.ErrDegraded)
			}
			return err
		}),
	}
}
