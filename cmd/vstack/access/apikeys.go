package access

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// APIKeys are the commands about API keys.
func APIKeys(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "apikey", Short: "API keys: the rights of programs that have no certificate"}
	cmd.AddCommand(newAPIKey(a), &cobra.Command{
		Use: "ls", Short: "List API keys, and what they have uploaded", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			all, err := c.Meta.APIKeys(ctx)
			if err != nil {
				return err
			}
			return p.Print(wire.List[vstack.APIKey]{Items: all}, func() console.Table { return keyTable(all, time.Now()) })
		}),
	}, &cobra.Command{
		Use: "rm NAME…", Short: "Remove API keys: within two seconds nobody takes them", Args: cobra.MinimumNArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, _ *console.Printer, args []string) error {
			for _, name := range args {
				if err := c.Meta.DropAPIKey(ctx, name); err != nil {
					return console.Hint(err, "vstack apikey ls")
				}
			}
			return nil
		}),
	})
	return cmd
}

func newAPIKey(a *cli.App) *cobra.Command {
	var req wire.APIKeyRequest
	var scopes []string
	var size string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "new NAME --scopes SCOPES", Short: "Make an API key and print it, once", Args: cobra.ExactArgs(1),
		Long: `Makes an API key for a program, which sends it as "Authorization: Bearer KEY" to any metastore or uploader. Scopes: read
(sees private films), upload (uploads, and cancels what it uploads), manage (changes and deletes films), admin (what an
administrator's certificate does). The cluster keeps a hash of it alone.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			req.Name, req.Life = args[0], life.Seconds()
			for _, s := range scopes {
				req.Scopes = append(req.Scopes, vstack.Scope(strings.TrimSpace(s)))
			}
			if size != "" {
				n, err := config.ParseSize(size)
				if err != nil {
					return fmt.Errorf("%w: --bytes: %w", console.ErrUsage, err)
				}
				req.Bytes = int64(n)
			}
			k, err := c.Meta.CreateAPIKey(ctx, req)
			if err != nil {
				return err
			}
			return p.Print(k, func() console.Table {
				return console.Table{Head: []string{"key", "name", "scopes", "expires"}, Rows: [][]any{{k.Key, k.Name, scopesOf(k.APIKey), expiresOf(k.APIKey)}}}
			})
		}),
	}
	f := cmd.Flags()
	f.StringSliceVar(&scopes, "scopes", nil, "what it is for, of read,upload,manage,admin")
	f.DurationVar(&life, "life", 0, "how long it is good (default: until it is removed)")
	f.Float64Var(&req.Rate, "rate", 0, "requests a second at each metastore and uploader (default: no bound of its own)")
	f.StringVar(&size, "bytes", "", "most that it may upload in all, such as 100GiB (default: no bound)")
	f.Int64Var(&req.Films, "films", 0, "films that it may upload in all (default: no bound)")
	return cmd
}

func scopesOf(k vstack.APIKey) string {
	var out []string
	for _, s := range k.Scopes {
		out = append(out, string(s))
	}
	return strings.Join(out, ",")
}

func expiresOf(k vstack.APIKey) string {
	if k.Expires.IsZero() {
		return "never"
	}
	return k.Expires.Local().Format(time.DateTime)
}

func keyTable(all []vstack.APIKey, now time.Time) console.Table {
	t := console.Table{Head: []string{"name", "scopes", "films", "bytes", "rate", "expires"}, Right: []int{2, 3, 4}, Empty: "no API keys: vstack apikey new"}
	for _, k := range all {
		films, size, rate, end := fmt.Sprint(k.UsedFilms), fmt.Sprint(console.Bytes(k.UsedBytes)), "any", expiresOf(k)
		if k.Films > 0 {
			films += fmt.Sprint(" of ", k.Films)
		}
		if k.Bytes > 0 {
			size += fmt.Sprint(" of ", console.Bytes(k.Bytes))
		}
		if k.Rate > 0 {
			rate = fmt.Sprintf("%g/s", k.Rate)
		}
		if !k.Good(now) {
			end += ", over"
		}
		t.Rows = append(t.Rows, []any{k.Name, scopesOf(k), films, size, rate, end})
	}
	return t
}
