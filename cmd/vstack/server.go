//go:build linux

package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/host"
	"github.com/vstack/vstack/internal/logs"
)

func newServer(a *cli.App) *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use: "server", Short: "Run one host: metastore, stores, uploader and gateway", Args: cobra.NoArgs,
		Long: `Runs the roles of one host in one process, until SIGTERM or SIGINT: then no new requests are taken, those in
flight finish within --grace, and the process ends. Every key of the configuration file can be set by environment
(VSTACK_LOG_LEVEL) or flag (--log-level, --set KEY=VALUE).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.load(cmd)
			if err != nil {
				return err
			}
			return host.Run(cmd.Context(), cfg, buildVersion(), newLogger(cfg.Log, a))
		},
	}
	flags.add(cmd)
	return cmd
}

func newLogger(cfg config.Log, a *cli.App) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // validated with the configuration
	opt := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(logs.New(slog.NewJSONHandler(a.Err, opt)))
	}
	return slog.New(logs.New(slog.NewTextHandler(a.Err, opt)))
}
