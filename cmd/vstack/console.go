package main

import (
	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/pages"
)

func newConsole(a *cli.App) *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use: "console", Short: "V-Stack's pages on this machine, with your certificate", Args: cobra.NoArgs,
		Long: `Serves the pages on loopback, with the rights of the client bundle: films, the player, uploads by drop. Open the
link that it prints; its token is new at every start. Films are read from the stores and verified in this process, so no
host needs the role gateway. Until Ctrl-C.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.Connect(cmd)
			if err != nil {
				return err
			}
			defer c.Close()
			p, err := a.Printer()
			if err != nil {
				return err
			}
			return pages.Serve(cmd.Context(), c, addr, buildVersion(), nil, func(url string) { p.Say("open %s", url) })
		},
	}
	cmd.Flags().StringVar(&addr, "addr", pages.DefaultAddr, "loopback HOST:PORT to listen on")
	return cmd
}
