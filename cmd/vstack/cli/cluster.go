package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
)

const (
	// DefaultCluster is where `vstack demo --dir lab` and `vstack lab init` leave it.
	DefaultCluster = "lab/client"
	// CallTimeout suits commands that ask a few questions.
	CallTimeout = 20 * time.Second
)

// Bundle reads the client bundle that --cluster names.
func (a *App) Bundle(cmd *cobra.Command) (*config.Client, error) {
	dir, err := cluster.FindBundle(a.Cluster)
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadClient(dir, cmd.Root().PersistentFlags(), config.FlagKeys{"output": "output", "timeout": "timeout"})
	if err != nil {
		return nil, err
	}
	a.Format, a.Timeout = cfg.Output, cfg.Timeout
	return cfg, nil
}

// Connect opens that bundle. It makes no call yet.
func (a *App) Connect(cmd *cobra.Command) (*cluster.Cluster, error) {
	cfg, err := a.Bundle(cmd)
	if err != nil {
		return nil, err
	}
	return cluster.Open(cfg, nil)
}

// WithCluster runs fn with a connected cluster, a printer and a deadline.
func (a *App) WithCluster(own time.Duration, fn func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.Connect(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		p, err := a.Printer()
		if err != nil {
			return err
		}
		ctx, cancel := a.Deadline(cmd.Context(), own)
		defer cancel()
		ctx, end, err := traced(ctx, cmd.CommandPath())
		if err != nil {
			return err
		}
		err = fn(ctx, c, p, args)
		end(err)
		return err
	}
}
