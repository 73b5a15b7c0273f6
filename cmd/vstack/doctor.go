//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/cmd/vstack/operate"
	"github.com/vstack/vstack/deploy/checkup"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

// clusterTimeout bounds what doctor asks the cluster.
const clusterTimeout = 15 * time.Second

func newDoctor(a *cli.App) *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use: "doctor", Short: "What is wrong with this machine and how to mend it", Args: cobra.NoArgs,
		Long: `Looks at UDP buffers, ffmpeg, the clock, open files, and for each host configured on this machine at its ports, disks, owners of
files and certificates; at the client bundle, where there is one; and, where the cluster answers, at all that vstack status looks at, as it
is seen from here: members, hosts, stores, groups, programs and level, certificates, and whether UDP reaches the stores.
Exit code 0: all is well; 6: something should be better; 1: a host would not run, or something is broken.

Hosts are taken from --config, else from ./vstack.yaml, else those of this machine from the lab that --cluster belongs to.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			cfg, client, err := doctorConfig(a, files)
			if err != nil {
				return err
			}
			ctx, cancel := a.Deadline(cmd.Context(), 2*cli.CallTimeout)
			defer cancel()
			seen := asClient(ctx, cfg, client)
			if seen != nil {
				cfg.Peers = nil // they are seen with the rest
			}
			findings := doctor.Run(ctx, cfg)
			if client != "" {
				findings = append(findings, doctor.Client(client)...)
			}
			findings = append(findings, seen...)
			err = p.Print(wire.List[doctor.Finding]{Items: findings}, func() console.Table { return operate.FindingTable(a, findings) })
			if err != nil {
				return err
			}
			switch doctor.Worst(findings) {
			case doctor.Fail:
				return fmt.Errorf("a host would not run well here, or the cluster does not: see the lines marked fail")
			case doctor.Warn:
				return fmt.Errorf("%w: see the lines marked warn", console.ErrDegraded)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVarP(&files, "config", "c", nil, "configuration file of a host on this machine; may be repeated")
	return cmd
}

// asClient is what the cluster says of itself and how its listeners look from here; nil where
// it cannot be asked and this is a host's machine, whose cluster may not have been started yet.
func asClient(ctx context.Context, cfg doctor.Config, client string) []doctor.Finding {
	as := &config.Client{Metastores: cfg.Peers, TLS: cfg.TLS}
	if client != "" {
		c, err := config.LoadClient(client, nil, nil)
		if err != nil {
			return nil // the check of the bundle says so
		}
		as = c
	}
	if len(as.Metastores) == 0 {
		return nil
	}
	c, err := cluster.Open(as, nil)
	if err != nil {
		return nil // the check of its certificate says so
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	facts, err := checkup.Gather(ctx, c)
	if len(cfg.Hosts) > 0 && (err != nil || facts.RaftErr != nil) {
		return nil
	}
	return checkup.Judge(facts)
}

// doctorConfig finds the hosts of this machine, and the client bundle; "" where there is none.
func doctorConfig(a *cli.App, files []string) (cfg doctor.Config, client string, err error) {
	if len(files) == 0 {
		if client, err = cluster.FindBundle(a.Cluster); err != nil {
			client = ""
		}
		_, there := os.Stat(config.File)
		if _, err := config.LoadClient(".", nil, nil); err == nil {
			client = "." // this is a bundle, not a host
		} else if there == nil {
			files = []string{config.File}
		}
	}
	for _, f := range files {
		h, err := config.LoadServer(f, nil, nil, nil)
		if err != nil {
			return cfg, "", err
		}
		cfg.Hosts = append(cfg.Hosts, h)
	}
	for _, dir := range []string{a.Cluster, filepath.Dir(filepath.Clean(a.Cluster))} {
		if len(cfg.Hosts) > 0 || !lab.Exists(dir) {
			continue
		}
		l, err := lab.Load(dir)
		if err != nil {
			return cfg, "", err
		}
		for _, h := range l.Hosts {
			if doctor.Here(h.Config) {
				cfg.Hosts = append(cfg.Hosts, h.Config)
			}
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
	return cfg, client, nil
}
