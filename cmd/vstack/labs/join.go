package labs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/deploy/systemd"
	"github.com/vstack/vstack/internal/console"
)

// joinedHost is what `vstack lab join` prints.
type joinedHost struct {
	Host    string   `json:"host"`
	Roles   []string `json:"roles"`
	Dir     string   `json:"dir"`
	Fresh   bool     `json:"fresh"`             // it was no host before
	Changed []string `json:"changed,omitempty"` // of a host that was there
	Kept    []string `json:"kept,omitempty"`
	Restart bool     `json:"restart,omitempty"` // what changed counts from the next start on
	Service bool     `json:"service"`           // this machine was set up, and starts it
}

func newJoin(a *cli.App) *cobra.Command {
	var dir string
	var noSystem, show bool
	cmd := &cobra.Command{
		Use: "join BUNDLE", Short: "Make this machine the host of a bundle, or give the host that it is a newer one", Args: cobra.ExactArgs(1),
		Long: `Unpacks a bundle of vstack lab init or lab add. As root on a machine that runs systemd it also installs this program, the account
vstack, the unit and the kernel's settings, and starts the host; --print shows that as a script and does nothing, --no-system leaves it.

Where the directory is that host already, the bundle's certificate takes the place of the old one, which counts within seconds without a
restart, and with it what is decided where the authority is kept: the host's address, the members to ask first, roles that the
certificate gained or lost. Whatever else the configuration says stays, and all data does; what was replaced and what stays is said.
Where the host has renewed its certificate by itself since the bundle was packed, and the bundle's says the same, its own stays.
A bundle of another host, of another cluster, or older than the last one is refused.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			setup := systemd.Setup{Program: exe}
			if show {
				_, err := fmt.Fprintf(a.Out, "# The bundle, in %s.\n%s lab join %s --dir %s --no-system\n%s", dir, exe, args[0], dir, setup.Script())
				return err
			}
			p, err := a.Printer()
			if err != nil {
				return err
			}
			j, err := lab.Join(args[0], dir)
			if err != nil {
				return err
			}
			row := joinedHost{Host: j.Config.Host, Roles: j.Config.Roles, Dir: dir, Fresh: j.Fresh, Changed: j.Changed, Kept: j.Kept, Restart: j.Restart}
			why := systemd.Can(dir)
			if why == nil && !noSystem {
				if err := service(cmd.Context(), a, setup, j); err != nil {
					return err
				}
				row.Service = true
			}
			return p.Print(row, func() console.Table { return row.table(args[0], why, noSystem) })
		},
	}
	cmd.Flags().StringVar(&dir, "dir", systemd.Dir, "directory that becomes the host's")
	cmd.Flags().BoolVar(&noSystem, "no-system", false, "unpack the bundle, and leave the machine as it is")
	cmd.Flags().BoolVar(&show, "print", false, "print what it would do as a script, and do nothing")
	return cmd
}

// service has systemd run the host: all of it where it is new, else a restart where the host
// has to take something.
func service(ctx context.Context, a *cli.App, setup systemd.Setup, j lab.Joined) error {
	if j.Fresh {
		return setup.Run(ctx, a.Err)
	}
	if j.Restart {
		return systemd.Restart(ctx, a.Err)
	}
	return nil
}

func (r joinedHost) table(bundle string, why error, noSystem bool) console.Table {
	t := console.Table{Head: []string{"host", "roles", "directory"}, Rows: [][]any{{r.Host, r.Roles, r.Dir}}}
	var b strings.Builder
	list := func(head string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n  %s", head, strings.Join(lines, "\n  "))
		}
	}
	file := filepath.Join(r.Dir, config.File)
	list("Replaced:", r.Changed)
	if !r.Fresh {
		list("Kept:", append(r.Kept, "all data, and whatever else "+file+" says"))
	}
	switch {
	case r.Service && r.Fresh:
		fmt.Fprintf(&b, "\nThe host starts, now and with the machine:  journalctl -fu vstack\nIs the machine well:  vstack doctor --config %s", file)
	case r.Service && r.Restart:
		b.WriteString("\nThe host was started again:  journalctl -fu vstack")
	case !r.Fresh && r.Restart:
		b.WriteString("\nNext: start the host again; until then it runs as before, under its new certificate")
	case !r.Fresh && len(r.Changed) == 0:
		b.WriteString("\nThe host has all that the bundle brings.")
	case !r.Fresh:
		b.WriteString("\nA host that runs takes the certificate within seconds, without a restart.")
	default:
		fmt.Fprintf(&b, "\nNext:  vstack doctor --config %s\n       vstack server --config %s", file, file)
		if why != nil && !noSystem && filepath.Clean(r.Dir) == systemd.Dir {
			fmt.Fprintf(&b, "\nNo service was set up: %v. What that would take:  vstack lab join %s --print", why, bundle)
		}
	}
	t.Foot = b.String()
	return t
}
