package main

import (
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/console"
)

// serverFlags are the flags of `server` and `config print` that set a configuration key.
type serverFlags struct {
	file string
	sets []string
}

func (s *serverFlags) add(cmd *cobra.Command) {
	def := config.DefaultServer()
	f := cmd.Flags()
	f.StringVarP(&s.file, "config", "c", config.File, "configuration file of the host")
	f.StringArrayVar(&s.sets, "set", nil, "set any key: --set ingest.max_upload=10GiB")
	f.StringSlice("roles", def.Roles, "roles to run: meta, data, ingest, gateway")
	f.String("host", "", "the host's id")
	f.String("write-transport", def.WriteTransport, "what carries chunk writes: tcp or quic")
	f.String("log-level", def.Log.Level, "debug, info, warn or error")
	f.String("log-format", def.Log.Format, "text or json")
	f.String("debug", "", "loopback HOST:PORT for /debug/pprof")
	f.Duration("grace", def.Grace, "bound of an orderly shutdown")
}

func (s *serverFlags) load(cmd *cobra.Command) (*config.Server, error) {
	var sets []config.Override
	for _, text := range s.sets {
		o, err := config.ParseOverride(text)
		if err != nil {
			return nil, err
		}
		sets = append(sets, o)
	}
	c, err := config.LoadServer(s.file, cmd.Flags(), config.FlagKeys{
		"roles": "roles", "host": "host", "write-transport": "write_transport",
		"log-level": "log.level", "log-format": "log.format", "debug": "debug", "grace": "grace",
	}, sets)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, console.Hint(err, "--config FILE, or `vstack lab init` to make one")
	}
	return c, console.Hint(err, "docs/deployment.md, which lists every key")
}

func newConfig(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Configuration of a host"}
	var flags serverFlags
	print := &cobra.Command{
		Use: "print", Short: "The configuration that `vstack server` would run with, as YAML", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.load(cmd)
			if err != nil {
				return err
			}
			body, err := config.Marshal(c)
			if err != nil {
				return err
			}
			_, err = a.Out.Write(body)
			return err
		},
	}
	flags.add(print)
	cmd.AddCommand(print)
	return cmd
}
