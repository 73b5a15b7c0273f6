//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/bench"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func newBench(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure this build beside bare baselines, in one run"}
	cmd.AddCommand(newBenchRun(a), newBenchLs(a), newBenchCompare(a), newBenchPart(a))
	return cmd
}

func newBenchRun(a *cli.App) *cobra.Command {
	var opt bench.Options
	var file, page string
	cmd := &cobra.Command{
		ValidArgsFunction: func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
			for _, s := range bench.Scenarios() {
				names = append(names, s.Name+"\t"+s.Doc)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		Use: "run [SCENARIO…]", Short: "Run scenarios (default: all) on a lab of its own",
		Long: `Starts three hosts on loopback addresses of their own, measures, and removes them. Figures of ours and
of the baseline come from alternating rounds; the median ratio is judged. Exit code 7: a bound was missed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := console.ParseFormat(a.Format)
			if err != nil {
				return err
			}
			if opt.Exe, err = os.Executable(); err != nil {
				return err
			}
			if opt.Dir, err = os.MkdirTemp(opt.Dir, "vstack-bench-"); err != nil {
				return fmt.Errorf("make work directory: %w", err)
			}
			defer os.RemoveAll(opt.Dir)
			opt.Commit = commit
			opt.Progress = func(s string) { fmt.Fprintln(a.Err, s) }
			out, err := bench.Run(cmd.Context(), opt, args...)
			if errors.Is(err, vstack.ErrNotFound) {
				return console.Hint(err, "vstack bench ls")
			}
			if err != nil {
				return err
			}
			if file != "" {
				if err := out.Save(file); err != nil {
					return err
				}
			}
			if page != "" {
				if err := out.SavePage(page); err != nil {
					return err
				}
			}
			if format == console.FormatTable {
				out.WriteTable(a.Out)
			} else if err := out.WriteJSON(a.Out); err != nil {
				return err
			}
			if missed := out.MissedText(); missed != "" {
				return fmt.Errorf("%w: %s", console.ErrBound, missed)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.Dir, "dir", ".", "directory on the disk to measure; needs 4 GiB for a while")
	f.IntVar(&opt.Rounds, "rounds", 0, "pairs of each comparison (0: 15)")
	f.IntVar(&opt.WorkingSet, "working-set", 0, "of bare-get: MiB that are read in turn (default 64)")
	f.StringVar(&opt.FirstIP, "first-ip", "", "first of the lab's three loopback addresses (default 127.0.9.1)")
	f.StringVar(&file, "out", "", "also write the report here, as JSON")
	f.StringVar(&page, "html", "", "also write the report here, as one page with drawings")
	f.StringSliceVar(&opt.Policies, "policy", nil, "of playback: the one that is judged, then its baselines (default smart,round-robin)")
	f.StringSliceVar(&opt.Links, "links", nil, "of playback: kinds of links, see vstack bench ls --links (default slow,vanish,loss-1)")
	f.DurationVar(&opt.Length, "length", 0, "of playback: length of the film (default 40s)")
	f.StringVar(&opt.Traces, "traces", "", "of playback: folder with the traces of ghent and fcc")
	return cmd
}

func newBenchLs(a *cli.App) *cobra.Command {
	var links bool
	cmd := &cobra.Command{
		Use: "ls", Short: "List the scenarios", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			var rows []map[string]string
			t := console.Table{Head: []string{"scenario", "measures"}}
			add := func(name, doc string) {
				rows = append(rows, map[string]string{"name": name, "doc": doc})
				t.Rows = append(t.Rows, []any{name, doc})
			}
			if links {
				t.Head = []string{"links", "are"}
				for _, s := range bench.Links() {
					add(s.Name, s.Doc)
				}
			} else {
				for _, s := range bench.Scenarios() {
					add(s.Name, s.Doc)
				}
			}
			return p.Print(wire.List[map[string]string]{Items: rows}, func() console.Table { return t })
		},
	}
	cmd.Flags().BoolVar(&links, "links", false, "list the kinds of links of playback instead")
	return cmd
}

func newBenchCompare(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "compare OLD NEW", Short: "Set two reports side by side", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			before, err := report.Read(args[0])
			if err != nil {
				return err
			}
			after, err := report.Read(args[1])
			if err != nil {
				return err
			}
			report.Compare(a.Out, before, after)
			return nil
		},
	}
}

// newBenchPart is every process that `bench run` starts besides hosts.
func newBenchPart(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "part NAME", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return bench.Part(cmd.Context(), args[0], os.Stdin, a.Out)
		},
	}
}
