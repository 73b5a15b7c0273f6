package operate

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/datanode/superblock/keyfile"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/datakey"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// RewrapRow is the line of one store, or of the directory of one role, of `vstack store rewrap`.
type RewrapRow struct {
	Store   vstack.StoreID `json:"store,omitzero"`
	Role    string         `json:"role,omitempty"`
	Dir     string         `json:"dir"`
	Wrapped string         `json:"wrapped"` // by what
}

func newRewrap(a *cli.App) *cobra.Command {
	var path, passphrase, command string
	var to keyfile.Wrapping
	cmd := &cobra.Command{
		Use: "rewrap --config FILE", Short: "Have the data keys of this host be opened by something else", Args: cobra.NoArgs,
		Long: `Opens the data keys of a host's encrypted stores and of its roles' directories by what its configuration names, and wraps them by what the flags
name, or, without any, by the same once more (with other recipients, say). Data stays as it is, and a host that
runs goes on. Name the new wrapping in the configuration (data.key) before the host's next start.`,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.Printer()
			if err != nil {
				return err
			}
			cfg, err := config.LoadServer(path, nil, nil, nil)
			if err != nil {
				return err
			}
			from := datakey.Wrapping(cfg)
			to.Passphrase, to.Command = strings.Fields(passphrase), strings.Fields(command)
			if to.Identity+passphrase+command == "" {
				recipients := to.Recipients
				to = from
				if recipients != "" {
					to.Recipients = recipients
				}
			}
			if to.Identity != "" { // where the host looks for it
				if to.Identity, err = filepath.Abs(to.Identity); err != nil {
					return fmt.Errorf("identity: %w", err)
				}
				to.MakeIdentity = from.MakeIdentity || to.Identity != from.Identity
			}
			rows, err := rewrap(cfg, keyfile.New(from), to)
			if len(rows) == 0 {
				return err
			}
			return errors.Join(err, p.Print(wire.List[RewrapRow]{Items: rows}, func() console.Table {
				t := console.Table{Head: []string{"store", "directory", "wrapped by"}}
				for _, r := range rows {
					of := r.Store.String()
					if r.Role != "" {
						of = "role " + r.Role
					}
					t.Rows = append(t.Rows, []any{of, r.Dir, r.Wrapped})
				}
				return t
			}))
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "config", config.File, "configuration of the host")
	f.StringVar(&to.Identity, "identity", "", "file of age identities; made where it is not there")
	f.StringVar(&to.Recipients, "recipients", "", "file of age recipients whose identities open the keys as well")
	f.StringVar(&passphrase, "passphrase-command", "", "command that prints a passphrase, words separated by spaces")
	f.StringVar(&command, "wrap-command", "", "command that wraps and unwraps, words separated by spaces")
	return cmd
}

// rewrap exchanges the wrapping of every encrypted store and directory of a host.
func rewrap(cfg *config.Server, keys *keyfile.Keys, to keyfile.Wrapping) (rows []RewrapRow, err error) {
	for _, s := range cfg.Data.Stores {
		id, err := keys.Rewrap(vfs.OS{}, s.Dir, to)
		if errors.Is(err, vstack.ErrNotFound) { // plain
			continue
		}
		if err != nil {
			return rows, fmt.Errorf("store %s: %w", s.Dir, err)
		}
		rows = append(rows, RewrapRow{Store: id, Dir: s.Dir, Wrapped: to.String()})
	}
	for _, d := range datakey.Directories(cfg) {
		_, err := keys.Rewrap(vfs.OS{}, d.Dir, to)
		if errors.Is(err, vstack.ErrNotFound) {
			continue
		}
		if err != nil {
			return rows, fmt.Errorf("directory of role %s: %w", d.Role, err)
		}
		rows = append(rows, RewrapRow{Role: d.Role, Dir: d.Dir, Wrapped: to.String()})
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("nothing of host %s is encrypted: %w", cfg.Host, vstack.ErrNotFound)
	}
	return rows, nil
}
