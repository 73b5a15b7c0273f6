//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/cmd/vstack/operate"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

func newDoctor(a *cli.App) *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use: "doctor", Short: "What is wrong with this machine and how to mend it", Args: cobra.NoArgs,
		Long: `Looks at UDP buffers, ffmpeg, the clock, open files, and for each host configured on this machine
at its ports, disks and certificates. Exit code 0: all is well; 6: something should be better; 1: a host would not run.

Hosts are taken from --config, else from ./vstack.yaml, else from the lab that --cluster belongs to.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			cfg, err := doctorConfig(a, files)
			if err != nil {
				return err
			}
			ctx, cancel := a.Deadline(cmd.Context(), 2*cli.CallTimeout)
			defer cancel()
			findings := doctor.Run(ctx, cfg)
			err = p.Print(wire.List[doctor.Finding]{Items: findings}, func() console.Table { return operate.FindingTable(a, findings) })
			if err != nil {
				return err
			}
			switch doctor.Worst(findings) {
			case doctor.Fail:
				return fmt.Errorf("a host would not run well here: see the lines marked fail")
			case doctor.Warn:
				return fmt.Errorf("%w: see the lines marked warn", console.ErrDegraded)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&files, "config", "c", nil, "configuration file of a host on this machine; may be repeated")
	return cmd
}

func doctorConfig(a *cli.App, files []string) (doctor.Config, error) {
	var cfg doctor.Config
	if _, err := os.Stat(config.File); err == nil && len(files) == 0 {
		files = []string{config.File}
	}
	for _, f := range files {
		h, err := config.LoadServer(f, nil, nil, nil)
		if err != nil {
			return cfg, err
		}
		cfg.Hosts = append(cfg.Hosts, h)
	}
	for _, dir := range []string{a.Cluster, filepath.Dir(filepath.Clean(a.Cluster))} {
		if len(cfg.Hosts) > 0 || !lab.Exists(dir) {
			continue
		}
		l, err := lab.Load(dir)
		if err != nil {
			return cfg, err
		}
		for _, h := range l.Hosts {
			cfg.Hosts = append(cfg.Hosts, h.Config)
		}
	}
	seen := map[string]bool{}
	for _, h := range cfg.Hosts {
		for _, api := range h.APIs() {
			if !seen[api] {
				cfg.Peers = append(cfg.Peers, api)
			}
			seen[api], cfg.TLS = true, h.TLS
		}
	}
	return cfg, nil
}
