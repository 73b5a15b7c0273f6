package main

import (
	"github.com/spf13/cobra"

	"github.com/vstack/vstack/bench/link/linkcmd"
	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/uploader/jail"
)

// enterJail does not return where this program was started as the helper that confines
// FFmpeg.
func enterJail() { jail.Enter() }

// hostCommands are those that run hosts, or look at this machine as one.
func hostCommands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		newDemo(a), newServer(a), newBench(a), newDrill(a), newDoctor(a),
		linkcmd.New(linkcmd.Shell{Printer: a.Printer, Deadline: a.Deadline}),
	}
}
