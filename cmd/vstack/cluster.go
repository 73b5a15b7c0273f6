package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
)

const (
	// defaultCluster is where `vstack demo --dir lab` and `vstack lab init` leave it.
	defaultCluster = "lab/client"
	// callTimeout suits commands that ask a few questions.
	callTimeout = 20 * time.Second
)

// bundle reads the client bundle that --cluster names.
func (a *app) bundle(cmd *cobra.Command) (*config.Client, error) {
	dir, err := cluster.FindBundle(a.clusterDir)
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadClient(dir, cmd.Root().PersistentFlags(), config.FlagKeys{"output": "output", "timeout": "timeout"})
	if err != nil {
		return nil, err
	}
	a.format, a.timeout = cfg.Output, cfg.Timeout
	return cfg, nil
}

// connect opens that bundle. It makes no call yet.
func (a *app) connect(cmd *cobra.Command) (*cluster.Cluster, error) {
	cfg, err := a.bundle(cmd)
	if err != nil {
		return nil, err
	}
	return cluster.Open(cfg, nil)
}

// withCluster runs fn with a connected cluster, a printer and a deadline.
func (a *app) withCluster(own time.Duration, fn func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := a.connect(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		p, err := a.printer()
		if err != nil {
			return err
		}
		ctx, cancel := a.deadline(cmd.Context(), own)
		defer cancel()
		return fn(ctx, c, p, args)
	}
}
