package labs

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/access"
	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

// labHost is one line of `vstack lab init`.
type labHost struct {
	Host   string   `json:"host"`
	Addr   string   `json:"addr"`
	Roles  []string `json:"roles"`
	Dir    string   `json:"dir"`
	Bundle string   `json:"bundle"`
}

// Command has the commands that make hosts and change what they are.
func Command(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "lab", Short: "Certificates and configuration for real hosts"}
	cmd.AddCommand(newInit(a), newAdd(a), newPromote(a), newSetAddress(a), newJoin(a), newRenew(), access.Revoke(a), access.Revoked(a))
	return cmd
}

func newInit(a *cli.App) *cobra.Command {
	var spec lab.Spec
	var hosts []string
	var ifMissing bool
	cmd := &cobra.Command{
		Use: "init --hosts a=10.0.0.1,b=10.0.0.2,c=10.0.0.3 --out DIR", Short: "Make an authority, a bundle for each host and one for you", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			if spec.Hosts, err = lab.ParseHosts(hosts); err != nil {
				return err
			}
			if ifMissing && lab.Exists(spec.Dir) {
				return nil
			}
			l, err := lab.Init(spec)
			if err != nil {
				return err
			}
			rows, err := packBundles(l)
			if err != nil {
				return err
			}
			return p.Print(wire.List[labHost]{Items: rows}, func() console.Table {
				t := console.Table{Head: []string{"host", "address", "roles", "bundle"}}
				for _, r := range rows {
					t.Rows = append(t.Rows, []any{r.Host, r.Addr, r.Roles, r.Bundle})
				}
				t.Foot = fmt.Sprintf("\nOn each host:  sudo vstack lab join %s\n"+
					"Here:          vstack --cluster %s status\nBundles and %s hold private keys: copy them over a safe channel, keep the authority offline.",
					filepath.Base(rows[0].Bundle), l.Client, filepath.Join(l.Dir, "ca"))
				return t
			})
		},
	}
	def := config.DefaultServer()
	spec.Superblock = def.Data.Superblock
	f := cmd.Flags()
	f.StringSliceVar(&hosts, "hosts", nil, "hosts as name=address or address, separated by commas (none: a loopback lab)")
	f.StringVar(&spec.Dir, "out", "lab", "directory to make")
	f.BoolVar(&ifMissing, "if-missing", false, "do nothing where the directory holds a lab already")
	f.IntVar(&spec.Stores, "stores", 2, "stores per host")
	f.Var(&spec.Capacity, "capacity", "what each store may use (0: all that its disk has)")
	f.BoolVar(&spec.Plain, "plain", false, "do not encrypt the stores (data.encrypt: false)")
	f.Var(&spec.Superblock, "superblock", "size of one append-only file")
	f.DurationVar(&spec.CertLife, "cert-life", 0, "how long hosts' certificates are good, which renew themselves after two thirds of it, 10s to 720h (0: 720h)")
	f.StringVar(&spec.FirstIP, "first-ip", "127.0.0.1", "address of the first host of a loopback lab")
	f.StringVar(&spec.WriteTransport, "write-transport", def.WriteTransport, "what carries chunk writes: tcp or quic")
	return cmd
}

func newAdd(a *cli.App) *cobra.Command {
	var dir string
	var member bool
	cmd := &cobra.Command{
		Use: "add HOST=ADDRESS --dir DIR [--meta]", Short: "Make the bundle of another host", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			specs, err := lab.ParseHosts(args)
			if err != nil {
				return err
			}
			l, err := lab.Load(dir)
			if err != nil {
				return err
			}
			h, err := l.Add(specs[0], member)
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
				s.add("on "+row.Host, "sudo vstack lab join %s", filepath.Base(row.Bundle))
				if member {
					s.addMember(l, h)
				}
				s.client(l)
				return row.table(s)
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "lab", "directory that lab init made")
	cmd.Flags().BoolVar(&member, "meta", false, "the host shall join the metadata cluster")
	return cmd
}

func newRenew() *cobra.Command {
	return &cobra.Command{
		Use: "renew DIR", Short: "Issue the certificates anew, by the same authority; hosts take them without a restart", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Load(args[0])
			if err != nil {
				return err
			}
			if err := l.Renew(); err != nil {
				return err
			}
			rows, err := packBundles(l)
			if err != nil {
				return err
			}
			out := cmd.ErrOrStderr()
			fmt.Fprintf(out, "renewed: %s, and the bundle of each host. On each host, without a restart:\n", l.Client)
			for _, r := range rows {
				fmt.Fprintf(out, "  %-12s sudo vstack lab join %s\n", r.Host+":", filepath.Base(r.Bundle))
			}
			fmt.Fprintf(out, "Copies of %s that are elsewhere: replace them by it.\n", l.Client)
			return nil
		},
	}
}

func packBundles(l *lab.Lab) ([]labHost, error) {
	dir := filepath.Join(l.Dir, "bundles")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make bundles: %w", err)
	}
	var rows []labHost
	for _, h := range l.Hosts {
		bundle := filepath.Join(dir, string(h.ID)+".tar.gz")
		if err := h.Pack(bundle); err != nil {
			return nil, err
		}
		rows = append(rows, labHost{string(h.ID), h.Addr(), h.Config.Roles, h.Dir, bundle})
	}
	return rows, nil
}
