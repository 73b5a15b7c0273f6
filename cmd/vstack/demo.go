//go:build linux

package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/demo"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/deploy/pages"
)

func newDemo(a *cli.App) *cobra.Command {
	// A host takes the whole of its first superblock from the disk when it starts.
	cfg := demo.Config{Lab: lab.Spec{Superblock: 128 << 20}, Args0: os.Args[0], Version: buildVersion(), CompareOver: openLinks(), NewProgress: a.Progress}
	var link string
	cmd := &cobra.Command{
		Use: "demo [FILE]", Short: "Three hosts on this machine: store a video, play it back verified", Args: cobra.MaximumNArgs(1),
		Long: `Starts a lab on loopback, one process a host, so that killing a host is a real SIGKILL. Stores FILE, or a clip
that ffmpeg makes, plays it through the smart client with every chunk checked, prints what it did, and serves until
Ctrl-C. With --dir the lab stays and the next start finds its videos; without, it is removed.

With --link each host has a network namespace of its own behind an emulated link, for all that it sends and receives
(root only). LINK is the file of a trace (see vstack link) or one of:
` + demoLinkText(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				cfg.File = args[0]
			}
			var err error
			if link != "" {
				kind, err := parseDemoLink(link)
				if err != nil {
					return err
				}
				if !cmd.Flags().Changed("first-ip") {
					if cfg.Lab.FirstIP, err = linkSubnet(); err != nil {
						return err
					}
				}
				cfg.Links, cfg.Lab.RoundTrip = kind.open, kind.roundTrip()
			}
			cfg.Drills = func(l *lab.Lab, file string) (pages.Drills, error) {
				client, err := config.LoadClient(l.Client, nil, nil)
				if err != nil {
					return nil, err
				}
				return openDrills(client, l.Client, file)
			}
			if cfg.Printer, err = a.Printer(); err != nil {
				return err
			}
			cfg.Paint = a.Paint(a.Out)
			return demo.Run(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Lab.Dir, "dir", "", "directory of the lab (default: a temporary one)")
	f.IntVar(&cfg.Lab.Count, "hosts", 3, "hosts to start")
	f.IntVar(&cfg.Lab.Stores, "stores", 2, "stores per host")
	f.StringVar(&cfg.Lab.FirstIP, "first-ip", "127.0.0.1", "loopback address of the first host; the others follow")
	f.StringVar(&cfg.Lab.WriteTransport, "write-transport", config.DefaultServer().WriteTransport, "what carries chunk writes: tcp or quic")
	f.StringVar(&link, "link", "", "put the hosts behind emulated links of this kind, see above")
	f.BoolVar(&cfg.Once, "once", false, "end after the playback was verified")
	return cmd
}
