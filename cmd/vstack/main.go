package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vstack/vstack/cmd/vstack/access"
	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/cmd/vstack/labs"
	"github.com/vstack/vstack/cmd/vstack/monitor"
	"github.com/vstack/vstack/cmd/vstack/operate"
	"github.com/vstack/vstack/cmd/vstack/redundancy"
	"github.com/vstack/vstack/cmd/vstack/watchers"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

// Set by the linker (see Makefile); a plain `go build` leaves them empty.
var version, commit string

func main() {
	enterJail()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process, for tests.
func run(args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end; the second one ends the process.
	context.AfterFunc(ctx, stop)
	root := newRoot(&cli.App{Out: out, Err: errOut})
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	console.PrintError(errOut, err)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return 128 + int(syscall.SIGINT)
	}
	return console.ExitCode(err)
}

func newRoot(a *cli.App) *cobra.Command {
	root := &cobra.Command{
		Use:           "vstack",
		Short:         "Distributed video store: upload, keep three verified copies, stream from the best of them",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Root().PersistentFlags())
		},
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return console.Hint(fmt.Errorf("%w: %w", console.ErrUsage, err), "%s --help", cmd.CommandPath())
	})
	f := root.PersistentFlags()
	f.StringVarP(&a.Format, "output", "o", "table", "format of listings: table, json or yaml")
	f.DurationVar(&a.Timeout, "timeout", 0, "give up after this long (0: what suits the command)")
	f.StringVar(&a.Cluster, "cluster", cli.DefaultCluster, "client bundle or lab directory of the cluster")
	f.StringVar(&a.ProgressMode, "progress", "auto", "progress on standard error: auto, bar, plain, json or none")
	f.BoolVar(&a.NoColor, "no-color", false, "no colours, as NO_COLOR does")
	f.BoolVar(&a.Wide, "wide", false, "every column of a listing in full, whether it fits the terminal or not")
	root.AddCommand(
		labs.Command(a), newConsole(a),
		newVideo(a), operate.Node(a), operate.Store(a), operate.Group(a), redundancy.Command(a), newChunk(a), operate.Raft(a), operate.Rebalance(a), operate.Status(a), operate.Events(a), operate.Upgrade(a), access.Tickets(a), access.APIKeys(a), watchers.Keys(a), watchers.Tokens(a), monitor.Command(a),
		newConfig(a), newVersion(a),
	)
	root.AddCommand(hostCommands(a)...)
	wantKnownCommands(root)
	completable(a, root)
	return root
}

// fromEnvironment gives VSTACK_TIMEOUT and its like to the global flags that the
// command line leaves out.
func fromEnvironment(flags *pflag.FlagSet) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		name := config.EnvName(f.Name)
		value, ok := os.LookupEnv(name)
		if !ok || f.Changed || err != nil {
			return
		}
		if serr := flags.Set(f.Name, value); serr != nil {
			err = fmt.Errorf("%w: %s: %w", console.ErrUsage, name, serr)
		}
	})
	return err
}

// wantKnownCommands makes groups of commands refuse a word they do not know, and all
// commands count wrong arguments as usage errors.
func wantKnownCommands(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		wantKnownCommands(sub)
	}
	if !cmd.Runnable() {
		cmd.SuggestionsMinimumDistance = 2
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
				return fmt.Errorf("unknown command %q, perhaps %s", args[0], strings.Join(like, " or "))
			}
			return fmt.Errorf("unknown command %q", args[0])
		}
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return console.Hint(fmt.Errorf("%w: %s: %w", console.ErrUsage, cmd.CommandPath(), err), "%s --help", cmd.CommandPath())
			}
			return nil
		}
	}
}

// buildVersion describes this binary.
func buildVersion() wire.Version {
	v := wire.Version{Version: version, Commit: commit, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && v.Commit == "" {
			v.Commit = s.Value[:min(12, len(s.Value))]
		}
	}
	if v.Version == "" {
		v.Version = strings.Trim(info.Main.Version, "()")
	}
	return v
}

func newVersion(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Version and commit of this binary", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			v := buildVersion()
			return p.Print(v, func() console.Table {
				return console.Table{Head: []string{"version", "commit", "go"}, Rows: [][]any{{v.Version, v.Commit, v.Go}}}
			})
		},
	}
}
