package watchers

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Keys are the commands about keys.
func Keys(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Keys of playback tokens: the catalog has the public halves"}
	cmd.AddCommand(newAdd(a), &cobra.Command{
		Use: "ls", Short: "List the keys", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			set, err := c.Meta.Keys(ctx)
			if err != nil {
				return err
			}
			return p.Print(set, func() console.Table {
				t := console.Table{Head: []string{"key", "public", "tokens from"}, Empty: "no keys: vstack key add"}
				for _, k := range set.Keys {
					from := ""
					if k.TokensFrom > 0 {
						from = time.Unix(k.TokensFrom, 0).UTC().Format(time.RFC3339)
					}
					text, _ := k.X.MarshalText() // has none
					t.Rows = append(t.Rows, []any{k.ID, string(text), from})
				}
				return t
			})
		}),
	}, &cobra.Command{
		Use: "rm KEY", Short: "Remove a key: no token of it is good any more", Args: cobra.ExactArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, _ *console.Printer, args []string) error {
			return console.Hint(c.Meta.DropKey(ctx, args[0]), "vstack key ls")
		}),
	})
	return cmd
}

func newAdd(a *cli.App) *cobra.Command {
	var public, private, note string
	cmd := &cobra.Command{
		Use: "add KEY (--new FILE | --public FILE)", Short: "Make a key, or add the public half of one that another service keeps", Args: cobra.ExactArgs(1),
		Long: `--new draws an Ed25519 key, writes it to FILE (PEM, PKCS #8, for its owner alone) and adds its public half. --public adds the
public half in FILE (PEM, as openssl pkey -pubout writes it) of a key that stays where it is. KEY is the key's id, kid of tokens.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, _ *console.Printer, args []string) error {
			if (public == "") == (private == "") {
				return fmt.Errorf("%w: say one of --new FILE and --public FILE", console.ErrUsage)
			}
			if err := vstack.CheckTokenKeyID(args[0]); err != nil {
				return err
			}
			var key ed25519.PublicKey
			var err error
			if public != "" {
				key, err = readPublic(public)
			} else {
				key, err = writePrivate(private)
			}
			if err != nil {
				return err
			}
			err = c.Meta.AddKey(ctx, wire.TokenKeyRequest{ID: args[0], Public: wire.Base64URL(key), Note: note})
			switch {
			case err == nil || private == "":
				return err
			case errors.Is(err, vstack.ErrOutcomeUnknown):
				return console.Hint(err, "vstack key ls; if %s is not there: rm %s, and once more", args[0], private)
			}
			return errors.Join(err, os.Remove(private)) // nobody has used it
		}),
	}
	cmd.Flags().StringVar(&private, "new", "", "write a new private key to this file, which must not exist")
	cmd.Flags().StringVar(&public, "public", "", "file of a public key")
	cmd.Flags().StringVar(&note, "note", "", "whose it is")
	return cmd
}

// writePrivate draws a key into a file that did not exist.
func writePrivate(path string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode the key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("write the key to %s: %w", path, err)
	}
	return public, nil
}

func block(path, kind string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, _ := pem.Decode(b)
	if p == nil || p.Type != kind {
		return nil, fmt.Errorf("%s: %w: no PEM block %q", path, vstack.ErrInvalid, kind)
	}
	return p.Bytes, nil
}

func readPublic(path string) (ed25519.PublicKey, error) {
	der, err := block(path, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKIXPublicKey(der)
	key, ok := k.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: %w: no public Ed25519 key (%v)", path, vstack.ErrInvalid, err)
	}
	return key, nil
}

func readPrivate(path string) (ed25519.PrivateKey, error) {
	der, err := block(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := k.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: %w: no private Ed25519 key (%v)", path, vstack.ErrInvalid, err)
	}
	return key, nil
}
