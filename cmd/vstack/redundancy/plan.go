package redundancy

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

func newPlan(a *cli.App) *cobra.Command {
	var flags policyFlags
	cmd := &cobra.Command{
		Use: "plan", Short: "What a policy would have done now, what that takes, and what may fail before and after", Args: cobra.NoArgs,
		Long: `Changes nothing. With flags it is about a policy with these values in place of those in force. The table below sets other schemes
beside it, as they would be on this cluster; one that it cannot have says why.

Exit code 6 says that nothing cools under this policy, and why.`,
	}
	flags.add(cmd.Flags())
	cmd.RunE = a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
		r, err := c.Meta.Redundancy(ctx)
		if err != nil {
			return err
		}
		policy, _, err := flags.over(cmd.Flags(), r.Policy)
		if err != nil {
			return err
		}
		plan, err := c.Meta.PlanRedundancy(ctx, &policy)
		if err != nil {
			return err
		}
		if err := p.Print(plan, func() console.Table { return planTable(plan) }); err != nil {
			return err
		}
		if plan.Refused != "" {
			return fmt.Errorf("%w: nothing cools: %w: %s", console.ErrDegraded, vstack.ErrTooFewTargets, plan.Refused)
		}
		return nil
	})
	return cmd
}

func planTable(p wire.RedundancyPlan) console.Table {
	t := console.Table{Head: []string{"scheme", "space", "may fail", "note"}}
	for _, s := range p.Schemes {
		name, note := "3 copies", s.Refused
		if !s.Scheme.IsZero() {
			name = s.Scheme.String()
		}
		if note == "" && !s.Placed {
			note = fmt.Sprintf("groups are widened to %d targets for it", s.Scheme.Total())
		}
		switch {
		case s.Scheme == p.Policy.Layout.Scheme && note == "":
			note = "the policy's"
		case s.Scheme == p.Policy.Layout.Scheme:
			note = "the policy's: " + note
		}
		t.Rows = append(t.Rows, []any{name, fmt.Sprintf("%.2f ×", s.Cost), bears(s.Bears), note})
	}
	gives := fmt.Sprintf("gives back %s", console.Bytes(p.Gives))
	if p.Gives < 0 {
		gives = fmt.Sprintf("takes %s more", console.Bytes(-p.Gives))
	}
	t.Foot = fmt.Sprintf("cool %s (%s), warm %s (%s): writes %s, %s\nmay fail: %s as copies, %s as %s", console.Count(p.Cool.Videos, "video"), console.Bytes(p.Cool.Bytes),
		console.Count(p.Warm.Videos, "video"), console.Bytes(p.Warm.Bytes), console.Bytes(p.Writes), gives, bears(p.Copies), bears(p.Fragments), p.Policy.Layout.Scheme)
	if p.Behind {
		t.Foot += "\nof a part of the videos: the leader reads on"
	}
	return t
}

func bears(b wire.Bears) string {
	if b.Stores < 0 {
		return "not possible"
	}
	return anyOf(b.Hosts, "host") + " or " + anyOf(b.Stores, "store")
}

func anyOf(n int, what string) string {
	if n == 0 {
		return "no " + what
	}
	return "any " + console.Count(n, what)
}
