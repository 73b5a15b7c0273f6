package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/rolling"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Upgrade is the command that exchanges the program of all hosts, one by one.
func Upgrade(a *cli.App) *cobra.Command {
	var file string
	var only []string
	var wait time.Duration
	var yes bool
	cmd := &cobra.Command{
		Use: "upgrade --hosts FILE --yes", Short: "Exchange the program of every host, one by one", Args: cobra.NoArgs,
		Long: `Stops, upgrades and starts one host after the other, whoever leads last, by the commands of FILE: stop, upgrade and start, in the form
that drills have (docs/drills.md, "Given hosts"). Without a command to upgrade it restarts the hosts. A host is stopped only when the
cluster can do without it (vstack node ok-to-stop), and the next one only when it is back and lacks nothing. Where a command fails,
the host is started again and no other is touched. Afterwards: vstack raft level.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			f, err := hostcmd.Load(file)
			if err != nil {
				return err
			}
			hosts, err := chosen(f, only)
			if err != nil {
				return err
			}
			if err := cli.Confirm(yes, fmt.Sprintf("stop and start %d hosts, one by one", len(hosts))); err != nil {
				return err
			}
			done, err := rolling.Run(ctx, rolling.Options{Cluster: c.Meta, Hosts: hosts, Wait: wait, Say: func(host vstack.HostID, what string) {
				fmt.Fprintf(p.Err, "%s  %s %s\n", time.Now().Format(time.TimeOnly), host, what)
			}})
			if len(done) == 0 {
				return err
			}
			return errors.Join(err, p.Print(wire.List[rolling.Done]{Items: done}, func() console.Table { return upgraded(done) }))
		}),
	}
	cmd.Flags().StringVar(&file, "hosts", "", "file with the hosts and their commands")
	cmd.Flags().StringSliceVar(&only, "only", nil, "these hosts alone, in this order but for the leader (default: all of the file)")
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Minute, "how long to wait for a host: until it may be stopped, and until it is back")
	cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
	_ = cmd.MarkFlagRequired("hosts")
	return cmd
}

// chosen are the hosts of a file that somebody named, or all.
func chosen(f *hostcmd.File, names []string) ([]*hostcmd.Host, error) {
	if len(names) == 0 {
		return f.Hosts, nil
	}
	var out []*hostcmd.Host
	for _, name := range names {
		h := f.Host(vstack.HostID(name))
		if h == nil || slices.Contains(out, h) {
			return nil, fmt.Errorf("%w: --only %.80s: want hosts of the file, each once", console.ErrUsage, name)
		}
		out = append(out, h)
	}
	return out, nil
}

func upgraded(done []rolling.Done) console.Table {
	t := console.Table{Head: []string{"host", "before", "after", "waited", "away"}, Right: []int{3, 4}}
	for _, d := range done {
		if d.Skipped {
			t.Rows = append(t.Rows, []any{d.Host, d.Before, "not touched", "-", "-"})
			continue
		}
		t.Rows = append(t.Rows, []any{d.Host, d.Before, d.After, fmt.Sprintf("%.1f s", d.Waited), fmt.Sprintf("%.1f s", d.Away)})
	}
	return t
}
