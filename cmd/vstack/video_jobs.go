package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/cluster/show"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

func newVideoJobs(a *cli.App) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "jobs", Short: "What the uploaders work on", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			jobs, silent := c.Jobs(ctx)
			shown := []cluster.HostJob{}
			for _, j := range jobs {
				if all || !j.State.Done() {
					shown = append(shown, j)
				}
			}
			if silent != nil {
				p.Say("not every uploader answers: %v", silent)
			}
			if silent != nil && len(jobs) == 0 {
				return silent
			}
			return p.Print(wire.List[cluster.HostJob]{Items: shown}, func() console.Table { return show.Jobs(shown, time.Now()) })
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "ended ones too")
	return cmd
}

func newVideoCancel(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB", Short: "Cancel an upload's job; nothing of it is kept", Args: cobra.ExactArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			id, err := c.FindJob(ctx, args[0])
			if err != nil {
				return err
			}
			job, err := c.CancelJob(ctx, id)
			if err != nil {
				return err
			}
			p.Say("job %s is %s", id, job.State)
			return nil
		}),
	}
}
