package main

import (
	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/pages"
	"github.com/vstack/vstack/internal/cluster"
)

func newConsole(a *cli.App) *cobra.Command {
	var addr, hosts string
	cmd := &cobra.Command{
		Use: "console", Short: "V-Stack's pages on this machine, with your certificate", Args: cobra.NoArgs,
		Long: `Serves the pages on loopback, with the rights of the client bundle: films, the player, uploads by drop. Open the
link that it prints; its token is new at every start. Films are read from the stores and verified in this process, so no
host needs the role gateway. With --hosts the page Drills breaks the cluster by a button, as vstack drill run does. Until
Ctrl-C.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bundle, err := a.Bundle(cmd)
			if err != nil {
				return err
			}
			c, err := cluster.Open(bundle, nil)
			if err != nil {
				return err
			}
			defer c.Close()
			p, err := a.Printer()
			if err != nil {
				return err
			}
			opt := pages.ServeOptions{Addr: addr, Version: buildVersion(), Links: openLinks(), Opened: func(url string) { p.Say("open %s", url) }}
			if hosts != "" {
				if opt.Drills, err = openDrills(bundle, a.Cluster, hosts); err != nil {
					return err
				}
			}
			return pages.Serve(cmd.Context(), c, opt)
		},
	}
	cmd.Flags().StringVar(&addr, "addr", pages.DefaultAddr, "loopback HOST:PORT to listen on")
	cmd.Flags().StringVar(&hosts, "hosts", "", "file with the commands that work the cluster's hosts, for drills by a button")
	return cmd
}
