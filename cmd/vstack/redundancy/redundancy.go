package redundancy

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

// Command is `vstack redundancy`.
func Command(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "redundancy", Short: "How videos lie: popular ones as three copies, the others as fragments",
		Long: `The cluster keeps videos that are watched as three copies, and makes the others fragments of which any few suffice: as safe, in
about half the space. It moves them by itself as their views come and decay. One video is pinned by "vstack video pin".`,
	}
	cmd.AddCommand(newStatus(a), newPlan(a), newPolicy(a), newPause(a, true), newPause(a, false))
	return cmd
}

func newPause(a *cli.App, pause bool) *cobra.Command {
	cmd := &cobra.Command{Use: "resume", Short: "Have videos move between classes again, and roles be shared out", Args: cobra.NoArgs}
	if pause {
		cmd.Use, cmd.Short = "pause", "Have nothing move that need not"
		cmd.Long = `No video begins to cool or to warm, and those that are on their way stay where they are, readable as ever; roles are not shared
out between stores. Repair does not stand still: copies and fragments that were lost are made again, and stores that are lost or ordered
to leave are replaced. A pin that undoes a move that is under way is followed.`
	}
	cmd.RunE = a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
		r, err := c.Meta.SetRedundancy(ctx, wire.RedundancyRequest{Paused: &pause})
		if err != nil {
			return levelHint(err, c)
		}
		return p.Print(r, func() console.Table { return statusTable(r) })
	})
	return cmd
}
