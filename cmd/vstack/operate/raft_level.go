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

func newRaftLevel(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "level", Short: "The feature level, and who knows which", Args: cobra.NoArgs,
		Long: `What the cluster's log, disks and messages may say is its feature level. It stays as it is while programs are upgraded, host
by host, so that each may go back; raise it once all hosts have the newer one for good.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			r, err := c.Meta.Levels(ctx)
			if err != nil {
				return err
			}
			return p.Print(r, func() console.Table { return levelTable(r) })
		}),
	}
	var yes bool
	var to uint32
	raise := &cobra.Command{
		Use: "raise --yes", Short: "Raise the feature level, for good", Args: cobra.NoArgs,
		Long: `Raises the feature level to the newest one that the leader's program knows, or to the one of --to. Refused while a member does
not answer, or a member or a store that is not down has a program that does not know the level. It cannot be undone: from then on
older programs cannot take part, not even those that these hosts ran before. A store that is down meanwhile and returns with an
older program is refused; its bytes stay.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			r, err := c.Meta.Levels(ctx)
			if err != nil {
				return err
			}
			level := vstack.Level(to)
			if to == 0 {
				level = r.Newest
			}
			if level > r.Level {
				what := fmt.Sprintf("raise the feature level from %d to %d, which cannot be undone: older programs cannot take part any more", r.Level, level)
				if err := cli.Confirm(yes, what); err != nil {
					return err
				}
			}
			if r, err = c.Meta.RaiseLevel(ctx, level); err != nil {
				return console.Hint(err, "vstack raft level")
			}
			return p.Print(r, func() console.Table { return levelTable(r) })
		}),
	}
	raise.Flags().BoolVar(&yes, "yes", false, "really")
	raise.Flags().Uint32Var(&to, "to", 0, "level (default: the newest that the leader's program knows)")
	cmd.AddCommand(raise)
	return cmd
}

func levelTable(r wire.LevelReport) console.Table {
	t := console.Table{Head: []string{"what", "host", "id", "knows", "note"}, Right: []int{3}, Yield: []string{"id"}}
	add := func(what string, of []wire.ReportedLevel) {
		for _, m := range of {
			var note string
			switch {
			case m.Lost:
				note = "down: does not hold up a raise"
			case m.Silent && what == "member":
				note = "does not answer"
			case m.Silent:
				note = "has not reported to this leader"
			case m.Level < r.Newest:
				note = "older program"
			}
			t.Rows = append(t.Rows, []any{what, m.Host, m.ID, m.Level, note})
		}
	}
	add("member", r.Members)
	add("store", r.Stores)
	t.Foot = fmt.Sprintf("the cluster is at feature level %d; the leader's program knows up to %d", r.Level, r.Newest)
	switch {
	case r.Allowed > r.Level:
		t.Foot += fmt.Sprintf("\nIt may be raised to %d, for good:  vstack raft level raise", r.Allowed)
	case r.Newest > r.Level:
		t.Foot += "\nIt cannot be raised while one of these has an older program or does not answer."
	}
	return t
}
