package labs

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/console"
)

func newSetAddress(a *cli.App) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "set-address HOST ADDRESS --dir DIR", Short: "Give a host another address, and say what to do in which order", Args: cobra.ExactArgs(2),
		Long: `Changes the host's address where the authority is kept: in its configuration and certificate, in the list of members that the
other hosts ask first, and in the client bundle; ports stay. Then it says what to do where. Stores tell the cluster their address
by themselves, once the host runs there, and keep their bytes and votes. A member of the metadata cluster is known by its address: it is
removed, and comes back as a new one, with the catalog from the others. One host at a time: wait until vstack status is well again.`,
		RunE: func(_ *cobra.Command, args []string) error {
			return change(a, dir, args[0], func(l *lab.Lab, spec lab.HostSpec) (*lab.Host, error) {
				return l.SetAddress(spec.ID, spec.Addr)
			}, args[1], func(s *steps, l *lab.Lab, h *lab.Host, bundle string) {
				member := h.Config.Has(config.RoleMeta)
				if member {
					s.add("here", "vstack --cluster %s raft remove %s --yes", l.Client, h.ID)
				}
				s.add("on "+string(h.ID), "systemctl stop vstack; give the machine its address %s; sudo vstack lab join %s", h.Addr(), filepath.Base(bundle))
				if member {
					s.addMember(l, h)
				}
				s.add("here", "vstack --cluster %s status", l.Client)
				s.add("later", "the other hosts' bundles know the address too: vstack lab join, without hurry (they ask it at a start only)")
				s.client(l)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "lab", "directory that lab init made")
	return cmd
}

func newPromote(a *cli.App) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "promote HOST --dir DIR", Short: "Have a host that stores become a member of the metadata cluster too", Args: cobra.ExactArgs(1),
		Long: `Gives the host the role meta where the authority is kept: in its configuration, its certificate, and the client bundle. Once
it has its new bundle its process waits, with an empty catalog, and vstack raft add makes it a member.`,
		RunE: func(_ *cobra.Command, args []string) error {
			return change(a, dir, args[0], func(l *lab.Lab, spec lab.HostSpec) (*lab.Host, error) {
				return l.Promote(spec.ID)
			}, "", func(s *steps, l *lab.Lab, h *lab.Host, bundle string) {
				s.add("on "+string(h.ID), "sudo vstack lab join %s", filepath.Base(bundle))
				s.addMember(l, h)
				s.client(l)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "lab", "directory that lab init made")
	return cmd
}

// change makes something of a host of the lab at dir, packs the bundles, and says what follows.
func change(a *cli.App, dir, host string, make func(*lab.Lab, lab.HostSpec) (*lab.Host, error), addr string, next func(*steps, *lab.Lab, *lab.Host, string)) error {
	p, err := a.Printer()
	if err != nil {
		return err
	}
	if addr == "" {
		addr = "0.0.0.0" // not asked for
	}
	specs, err := lab.ParseHosts([]string{host + "=" + addr})
	if err != nil {
		return err
	}
	l, err := lab.Load(dir)
	if err != nil {
		return err
	}
	h, err := make(l, specs[0])
	if err != nil {
		return err
	}
	rows, err := packBundles(l)
	if err != nil {
		return err
	}
	row := rowOf(rows, h)
	return p.Print(row, func() console.Table {
		s := steps{}
		next(&s, l, h, row.Bundle)
		return row.table(s)
	})
}
