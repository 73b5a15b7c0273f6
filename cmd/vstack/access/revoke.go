package access

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Revoke is the command that takes certificates their rights.
func Revoke(a *cli.App) *cobra.Command {
	var req wire.RevokeRequest
	var admin string
	var undo, yes bool
	cmd := &cobra.Command{
		Use: "revoke HOST | --admin NAME | --serial HEX --yes", Short: "Take certificates their rights before they expire", Args: cobra.MaximumNArgs(1),
		Long: `Every host refuses the certificates of HOST, or of an administrator, that were issued until now, or the one with a serial number, within
seconds, and ends what they have under way. Certificates that are issued afterwards are good (vstack lab renew, vstack lab add).
A host that is a Raft member still counts in majorities: vstack raft remove HOST. --undo takes a revocation back.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			if host := strings.Join(args, ""); host != "" {
				req.Subject = "host " + host
			}
			if admin != "" {
				if req.Subject != "" {
					return fmt.Errorf("%w: HOST and --admin are two", console.ErrUsage)
				}
				req.Subject = "admin " + admin
			}
			req.Serial = strings.TrimLeft(strings.ToLower(strings.ReplaceAll(req.Serial, ":", "")), "0")
			if (req.Subject == "") == (req.Serial == "") {
				return fmt.Errorf("%w: say one of HOST, --admin NAME and --serial HEX", console.ErrUsage)
			}
			of := vstack.Revocation{Subject: req.Subject, Serial: req.Serial}
			if undo {
				return console.Hint(c.Meta.Restore(ctx, of.Key()), "vstack lab revoked")
			}
			if c.IsMe(of, time.Now()) {
				return fmt.Errorf("revoke %s: %w: it is the certificate of this command; make another first (vstack lab renew DIR)", of.Key(), vstack.ErrInvalid)
			}
			if err := cli.Confirm(yes, "take "+of.Key()+" all rights"); err != nil {
				return err
			}
			r, err := c.Meta.Revoke(ctx, req)
			if err != nil {
				return err
			}
			return p.Print(r, func() console.Table { return revocations([]vstack.Revocation{r}) })
		}),
	}
	cmd.Flags().StringVar(&admin, "admin", "", "an administrator's certificates")
	cmd.Flags().StringVar(&req.Serial, "serial", "", "the certificate with this serial number, as openssl x509 -serial prints it")
	cmd.Flags().StringVar(&req.Note, "note", "", "why")
	cmd.Flags().BoolVar(&undo, "undo", false, "take the revocation back")
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	return cmd
}

// Revoked lists revocations.
func Revoked(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "revoked", Short: "List certificates that were revoked", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			list, err := c.Meta.Revocations(ctx)
			if err != nil {
				return err
			}
			return p.Print(list, func() console.Table { return revocations(list.Items) })
		}),
	}
}

func revocations(list []vstack.Revocation) console.Table {
	t := console.Table{Head: []string{"certificates", "issued until", "note"}, Empty: "no certificate was revoked"}
	for _, r := range list {
		until := "any time"
		if r.Serial == "" {
			until = r.At.Local().Format(time.DateTime)
		}
		t.Rows = append(t.Rows, []any{r.Key(), until, cmp.Or(r.Note, "-")})
	}
	return t
}
