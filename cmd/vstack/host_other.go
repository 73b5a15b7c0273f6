//go:build !linux

package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/pages"
	"github.com/vstack/vstack/internal/console"
)

func enterJail() {}

// hostCommands stand in for those that run hosts, or look at this machine as one: hosts
// run on Linux.
func hostCommands(*cli.App) []*cobra.Command {
	var out []*cobra.Command
	for _, name := range []string{"demo", "server", "bench", "drill", "doctor", "link"} {
		out = append(out, &cobra.Command{
			Use: name, Short: "Needs Linux", DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				err := fmt.Errorf("%s on %s: %w: hosts run on Linux", name, runtime.GOOS, errors.ErrUnsupported)
				return console.Hint(err, "the same command on a Linux machine; video, node, store, raft, lab and console work here")
			},
		})
	}
	return out
}

// openDrills refuses: drills run on Linux.
func openDrills(*config.Client, string, string) (pages.Drills, error) {
	return nil, fmt.Errorf("--hosts on %s: %w: drills run on Linux", runtime.GOOS, errors.ErrUnsupported)
}

// openLinks has none: they are emulated on Linux.
func openLinks() pages.Links { return nil }
