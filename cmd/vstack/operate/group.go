package operate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Group is about placement groups as such.
func Group(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "group", Short: "Placement groups that take no writes"}
	cmd.AddCommand(&cobra.Command{
		Use: "held", Short: "List groups without two acceptors that are up and remember their votes", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			held, err := c.Meta.HeldGroups(ctx)
			if err != nil {
				return err
			}
			if err := p.Print(wire.List[wire.HeldGroup]{Items: held}, func() console.Table { return heldTable(held) }); err != nil {
				return err
			}
			return heldError(len(held))
		}),
	}, newAcceptLoss(a))
	return cmd
}

func newAcceptLoss(a *cli.App) *cobra.Command {
	var yes, all bool
	cmd := &cobra.Command{
		Use: "accept-loss GROUP… --yes", Short: "Give up votes that are gone for good, so that a group takes writes again",
		Long: `A placement group that lost two of its three acceptors, or the votes of two, takes no writes any more: nobody can say what was
chosen in it for uploads that are not published yet. If those stores will not return, this begins its next epoch without their votes.

Published films are not touched: where their chunks have copies, they are read and copied as before. An upload that was under way goes
on, and sends again what is not found. A store that comes back later finds its votes overtaken.

vstack group held  lists such groups; bring their stores back rather than use this.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			held, err := c.Meta.HeldGroups(ctx)
			if err != nil {
				return err
			}
			req, names, err := pickHeld(held, args, all)
			if err != nil {
				return err
			}
			if err := cli.Confirm(yes, "give up the votes of "+names); err != nil {
				return err
			}
			reply, err := c.Meta.AcceptLoss(ctx, req)
			if err != nil {
				return console.Hint(err, "vstack group held")
			}
			return p.Print(reply, func() console.Table {
				t := console.Table{Head: []string{"group", "epoch"}, Right: []int{0, 1}, Foot: "these groups take writes again; vstack video check  says whether bytes are lost, too"}
				for _, g := range reply.Groups {
					t.Rows = append(t.Rows, []any{uint64(g.PG), uint64(g.Epoch)})
				}
				return t
			})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	cmd.Flags().BoolVar(&all, "all", false, "every group that vstack group held lists")
	return cmd
}

// pickHeld finds the groups that are meant, at the epochs that were seen.
func pickHeld(held []wire.HeldGroup, args []string, all bool) (req wire.AcceptLossRequest, names string, err error) {
	switch {
	case all == (len(args) > 0):
		return req, "", fmt.Errorf("%w: name groups, or --all", console.ErrUsage)
	case all && len(held) == 0:
		return req, "", fmt.Errorf("no group is held: %w", vstack.ErrNotFound)
	case all:
		for _, g := range held {
			req.Groups = append(req.Groups, wire.GroupEpoch{PG: g.PG, Epoch: g.Epoch})
		}
		return req, fmt.Sprintf("all %d held groups", len(held)), nil
	}
	for _, arg := range args {
		pg, err := strconv.ParseUint(arg, 10, 16)
		if err != nil {
			return req, "", fmt.Errorf("group %q: %w: want its number", arg, console.ErrUsage)
		}
		i := slices.IndexFunc(held, func(g wire.HeldGroup) bool { return uint64(g.PG) == pg })
		if i < 0 {
			return req, "", console.Hint(fmt.Errorf("group %d is not held: %w", pg, vstack.ErrNotFound), "vstack group held")
		}
		req.Groups = append(req.Groups, wire.GroupEpoch{PG: held[i].PG, Epoch: held[i].Epoch})
	}
	return req, "group " + strings.Join(args, ", "), nil
}

func heldTable(held []wire.HeldGroup) console.Table {
	t := console.Table{Head: []string{"group", "epoch", "acceptors", "accept-loss"}, Right: []int{0, 1}, Flex: "acceptors", Empty: "every group has its acceptors"}
	for _, g := range held {
		var who []string
		for _, a := range g.Acceptors {
			who = append(who, fmt.Sprintf("%s %.8s %s", a.Host, a.Store.String(), a.State))
		}
		may := "would do"
		if !g.Acceptable {
			may = "needs another host"
		}
		t.Rows = append(t.Rows, []any{uint64(g.PG), uint64(g.Epoch), strings.Join(who, ", "), may})
	}
	if len(held) > 0 {
		t.Foot = "bring these stores back, with their directories; if that is impossible:  vstack group accept-loss GROUP --yes"
	}
	return t
}

// heldError is what a command ends with while groups are held.
func heldError(n int) error {
	if n == 0 {
		return nil
	}
	return console.Hint(fmt.Errorf("%w: %s and take no writes", console.ErrDegraded, lacking(n)), "vstack group held")
}

func lacking(n int) string {
	if n == 1 {
		return "1 placement group lacks acceptors"
	}
	return fmt.Sprintf("%d placement groups lack acceptors", n)
}
