package monitor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/monitoring"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
)

// written is what the command says as JSON.
type written struct {
	Dir   string            `json:"dir"`
	Files []string          `json:"files"`
	Hosts []monitoring.Host `json:"hosts"`
}

// Command is `vstack monitoring`.
func Command(a *cli.App) *cobra.Command {
	var out, name string
	var every time.Duration
	cmd := &cobra.Command{
		Use: "monitoring", Short: "Write what Prometheus and Grafana need to watch the cluster", Args: cobra.NoArgs,
		Long: `Writes a directory for Prometheus and Grafana: prometheus.yml, which scrapes every role of every host that the cluster
has now, the alert rules, the cluster's authority, and dashboards with their provisioning. Files that are there are
replaced. Start with: prometheus --config.file=DIR/prometheus.yml`,
	}
	cmd.Flags().StringVar(&out, "out", "", "directory to write (required)")
	cmd.Flags().StringVar(&name, "name", "vstack", "the cluster's name in the label cluster")
	cmd.Flags().DurationVar(&every, "every", 15*time.Second, "time between two scrapes")
	_ = cmd.MarkFlagRequired("out") // the flag exists
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := a.Bundle(cmd)
		if err != nil {
			return err
		}
		if every < time.Second {
			return fmt.Errorf("%w: --every %s: want 1s or more", console.ErrUsage, every)
		}
		return a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			hosts, err := hostsOf(ctx, c)
			if err != nil {
				return err
			}
			dir, err := filepath.Abs(out)
			if err != nil {
				return fmt.Errorf("write %s: %w", out, err)
			}
			ca, err := os.ReadFile(filepath.Join(cfg.TLS, "ca.crt"))
			if err != nil {
				return fmt.Errorf("read the cluster's authority: %w", err)
			}
			files, err := monitoring.Write(dir, monitoring.Scrapes{Cluster: name, Every: every, Hosts: hosts}, ca)
			if err != nil {
				return err
			}
			return p.Print(written{dir, files, hosts}, func() console.Table {
				t := console.Table{Head: []string{"file"}, Foot: fmt.Sprintf("%d hosts; prometheus --config.file=%s", len(hosts), filepath.Join(dir, "prometheus.yml"))}
				for _, f := range files {
					t.Rows = append(t.Rows, []any{filepath.Join(dir, f)})
				}
				return t
			})
		})(cmd, args)
	}
	return cmd
}

// hostsOf asks the cluster who takes part.
func hostsOf(ctx context.Context, c *cluster.Cluster) ([]monitoring.Host, error) {
	members, err := c.Meta.Members(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	nodes, err := c.Meta.Nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the hosts: %w", err)
	}
	return monitoring.HostsOf(members.Items, nodes, c.Uploaders(), c.Gateways()), nil
}
