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

// Tickets are the commands about tickets.
func Tickets(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "tickets", Short: "Tickets: the right to upload, for whom has no certificate"}
	cmd.AddCommand(newTicket(a), &cobra.Command{
		Use: "ls", Short: "List the tickets that are good", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			all, err := c.Meta.Tickets(ctx)
			if err != nil {
				return err
			}
			return p.Print(wire.List[vstack.Ticket]{Items: all}, func() console.Table { return table(all) })
		}),
	}, &cobra.Command{
		Use: "rm TICKET…", Short: "Take tickets back", Args: cobra.MinimumNArgs(1),
		Long: "Takes tickets back. TICKET is an id of `vstack tickets ls`, enough of its beginning, or the ticket itself.",
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, _ *console.Printer, args []string) error {
			all, err := c.Meta.Tickets(ctx)
			if err != nil {
				return err
			}
			var ids []vstack.TicketID
			for _, name := range args {
				id, err := find(all, name)
				if err != nil {
					return console.Hint(err, "vstack tickets ls")
				}
				ids = append(ids, id)
			}
			for _, id := range ids {
				if err := c.Meta.DropTicket(ctx, id); err != nil {
					return err
				}
			}
			return nil
		}),
	})
	return cmd
}

func newTicket(a *cli.App) *cobra.Command {
	var uses int
	var size string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "new [NOTE]", Short: "Make a ticket and print it, once", Args: cobra.MaximumNArgs(1),
		Long: `Makes a ticket, whoever has which may upload: as "Authorization: Bearer TICKET", or by vstack video upload --ticket TICKET.
Each file that is begun takes a use. What came with a ticket may be canceled with it. The cluster keeps a hash of it alone.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			req := wire.TicketRequest{Uses: uses, Life: life.Seconds(), Note: strings.Join(args, "")}
			if size != "" {
				n, err := config.ParseSize(size)
				if err != nil {
					return fmt.Errorf("%w: --bytes: %w", console.ErrUsage, err)
				}
				req.Bytes = int64(n)
			}
			t, err := c.Meta.CreateTicket(ctx, req)
			if err != nil {
				return err
			}
			return p.Print(t, func() console.Table {
				return console.Table{Head: []string{"ticket", "uses", "expires"}, Right: []int{1}, Rows: [][]any{{t.Token, t.Uses, t.Expires.Local().Format(time.DateTime)}}}
			})
		}),
	}
	cmd.Flags().IntVar(&uses, "uses", 1, "files that it is good for")
	cmd.Flags().StringVar(&size, "bytes", "", "most that one file may have, such as 2GiB (default: what the uploader takes)")
	cmd.Flags().DurationVar(&life, "life", 24*time.Hour, "how long it is good")
	return cmd
}

// find is the ticket that somebody means: by itself, its id, or enough of the id's beginning.
func find(all []vstack.Ticket, name string) (vstack.TicketID, error) {
	var found []vstack.TicketID
	for _, t := range all {
		if t.ID == vstack.TicketOf(name) || t.ID.String() == name {
			return t.ID, nil
		}
		if name != "" && strings.HasPrefix(t.ID.String(), name) {
			found = append(found, t.ID)
		}
	}
	switch len(found) {
	case 0:
		return vstack.TicketID{}, fmt.Errorf("ticket %.80q: %w", name, vstack.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return vstack.TicketID{}, fmt.Errorf("ticket %.80q: %w: it may be %d tickets", name, vstack.ErrInvalid, len(found))
}

func table(all []vstack.Ticket) console.Table {
	t := console.Table{Head: []string{"id", "uses", "bytes", "expires", "note"}, Right: []int{1, 2}, Empty: "no tickets: vstack tickets new"}
	for _, k := range all {
		size := "any"
		if k.Bytes > 0 {
			size = fmt.Sprint(console.Bytes(k.Bytes))
		}
		t.Rows = append(t.Rows, []any{k.ID.String()[:12], k.Uses, size, k.Expires.Local().Format(time.DateTime), k.Note})
	}
	return t
}
