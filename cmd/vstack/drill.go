//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vstack/vstack/bench/drill"
	"github.com/vstack/vstack/bench/drill/given"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/hostcmd"
)

// fewFaults are told event by event while they happen, more of them only by their outcome.
const fewFaults = 3

func newDrill(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "drill", Short: "Break a cluster on purpose, under load, and measure what clients notice"}
	run := newDrillRun(a)
	run.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, d := range drill.Drills() {
			if len(args) == 0 {
				names = append(names, d.Name+"\t"+d.Doc)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	cmd.AddCommand(newDrillLs(a), run)
	return cmd
}

func newDrillLs(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the drills", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			type item struct {
				Name    string   `json:"name"`
				Aliases []string `json:"aliases,omitempty"`
				Doc     string   `json:"doc"`
			}
			var items []item
			t := console.Table{Head: []string{"drill", "also", "what it does"}}
			for _, d := range drill.Drills() {
				items = append(items, item{d.Name, d.Aliases, d.Doc})
				t.Rows = append(t.Rows, []any{d.Name, strings.Join(d.Aliases, ", "), d.Doc})
			}
			return p.Print(map[string]any{"items": items}, func() console.Table { return t })
		},
	}
}

func newDrillRun(a *cli.App) *cobra.Command {
	var opt drill.Options
	var loads, file, hosts string
	var bounds []string
	var yes bool
	cmd := &cobra.Command{
		Use: "run NAME", Short: "Run a drill on a lab of its own, or on given hosts", Args: cobra.ExactArgs(1),
		Long: `Starts three hosts on this machine, puts them under load and repeats one fault. Nothing that was acknowledged may
be lost, every history of reads and writes must be linearizable, and what plays during a fault must go on after it,
without a stall where a store is there to play from; bounds on times are given with --assert. A bound on what was not
measured is missed. Exit code 7: a bound was missed. Drills that cut networks or hang disks must be run by root. With --hosts the drill is of the cluster
that --cluster names, and does to its hosts what the file has commands for.`,
		Example: `  vstack drill run kill-leader --repeat 30 --assert 'write_gap.p99<1.2s' --assert 'stalls==0' --report drill.html
  vstack drill run rolling --cluster DIR --hosts hosts.yaml --yes`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if hosts != "" {
				if opt.Given, err = givenHosts(a, cmd, hosts, yes); err != nil {
					return err
				}
			}
			p, err := a.Printer()
			if err != nil {
				return err
			}
			d, err := drill.Find(args[0])
			if err != nil {
				return console.Hint(err, "vstack drill ls")
			}
			if opt.Loads, err = report.ParseLoads(loads); err != nil {
				return err
			}
			if opt.Assertions, err = report.ParseAssertions(bounds); err != nil {
				return err
			}
			if file != "" {
				if err := report.CheckFile(file); err != nil {
					return err
				}
			}
			if opt.Exe, err = os.Executable(); err != nil {
				return fmt.Errorf("find own program: %w", err)
			}
			opt.Commit = buildVersion().Commit
			opt.Progress = func(s string) { p.Say("%s", s) }
			if opt.Repeat <= fewFaults && opt.For == 0 {
				opt.Events = func(e report.Event) { p.Say("%s", eventLine(e)) }
			}
			ctx, cancel := a.Deadline(cmd.Context(), 0)
			defer cancel()
			ctx, stop := terminalMayGo(ctx)
			defer stop()
			r, err := drill.Run(ctx, d, opt)
			if err == nil {
				err = r.Err()
			}
			return errors.Join(err, deliver(p, r, file))
		},
	}
	f := cmd.Flags()
	f.StringVar(&loads, "load", "upload,play,meta", "what clients do meanwhile: upload, play, meta, or none")
	f.StringArrayVar(&bounds, "assert", nil, "bound, as 'write_gap.p99<1.2s' or 'stalls==0'; may be repeated")
	f.StringVar(&file, "report", "", "also write a report: FILE.html stands alone, FILE.json is for programs")
	f.StringVar(&hosts, "hosts", "", "file with the commands that work the hosts of the cluster at --cluster (default: a lab of its own)")
	f.BoolVar(&yes, "yes", false, "yes, break that cluster")
	drillFlags(f, &opt)
	return cmd
}

// drillFlags are those of a drill's options.
func drillFlags(f *pflag.FlagSet, opt *drill.Options) {
	f.IntVar(&opt.Repeat, "repeat", 0, "how many faults (0: one, or as many as begin within --for)")
	f.DurationVar(&opt.For, "for", 0, "begin faults for this long")
	f.DurationVar(&opt.Pause, "pause", 0, "how long a host is stopped, cut off or away, or a disk hangs (0: what the drill draws)")
	f.Uint64Var(&opt.Seed, "seed", 1, "of what is drawn: times, and the faults of chaos")
	f.StringSliceVar(&opt.Strangers.Attacks, "attack", nil, "abuse: the attacks, with commas between (default: all)")
	f.IntVar(&opt.Strangers.Strength, "strength", 1, "abuse: how many times as many attackers, 1 to 16")
	f.IntVar(&opt.Strangers.Keys, "keys", 1, "abuse: addresses that they come from, 1 to 200")
	f.StringVar(&opt.Dir, "dir", "", "directory of the lab, which then stays (default: a temporary one)")
	f.StringArrayVar(&opt.From, "from", nil, "upgrade: a commit to begin with, of the repository here, or a program's file; may be repeated (default: the last of each earlier level)")
	f.StringVar(&opt.FirstIP, "first-ip", "", "first of the hosts' three addresses (default 127.0.8.1, or in a free subnet of 198.18.0.0/15 where networks are cut)")
}

// deliver prints a report, if there is one, and writes it to a file, if one is named.
func deliver(p *console.Printer, r *report.Report, file string) error {
	if r == nil {
		return nil
	}
	if file != "" {
		if err := r.WriteFile(file); err != nil {
			return err
		}
	}
	return p.Print(r, r.Table)
}

// terminalMayGo lets a drill end in order when its terminal is gone, so that no host is
// left as the drill has hurt it. SIGPIPE, which each broken connection brings, too, is
// only kept from ending the process.
func terminalMayGo(ctx context.Context) (context.Context, context.CancelFunc) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// givenHosts is the cluster at --cluster, with the commands of a file.
func givenHosts(a *cli.App, cmd *cobra.Command, file string, yes bool) (*given.Cluster, error) {
	hosts, err := hostcmd.Load(file)
	if err != nil {
		return nil, err
	}
	client, err := a.Bundle(cmd)
	if err != nil {
		return nil, err
	}
	return &given.Cluster{Client: client, Hosts: hosts, Confirm: func(what string) error { return cli.Confirm(yes, what) }}, nil
}
