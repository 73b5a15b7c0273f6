package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
)

func newVideoVerify(a *cli.App) *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use: "verify VIDEO", Short: "Ask every holder for every chunk; --deep reads and hashes each copy", Args: cobra.ExactArgs(1),
		Long: "Asks each store that should hold a copy for it; with --deep the bytes are read and compared with their SHA-256.\n\nExit code 0: every copy is there; 6: every chunk is readable and some copies are missing or bad; 1: a chunk has no good copy.",
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			id, err := c.FindVideo(ctx, args[0])
			if err != nil {
				return err
			}
			prog, err := a.Progress()
			if err != nil {
				return err
			}
			r, err := c.Verify(ctx, prog, id, deep)
			prog.Close()
			if err != nil {
				return fmt.Errorf("verify video %s: %w", id, err)
			}
			if err := p.Print(r, func() console.Table { return verifyTable(r) }); err != nil {
				return err
			}
			switch {
			case r.Unreadable > 0:
				return console.Hint(fmt.Errorf("%d chunk(s) have no good copy", r.Unreadable), "vstack store ls")
			case len(r.Bad) > 0:
				return console.Hint(fmt.Errorf("%w: %d of %d copies are not good", console.ErrDegraded, len(r.Bad), r.Copies), "vstack store ls")
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "read every byte of every copy")
	return cmd
}

func verifyTable(r cluster.VerifyReport) console.Table {
	how := "asked for"
	if r.Deep {
		how = fmt.Sprintf("read and hashed (%s)", console.Bytes(r.Bytes))
	}
	t := console.Table{
		Head: []string{"slot", "chunk", "store", "finding"},
		Foot: fmt.Sprintf("%d chunks, %d of %d copies good, %s", r.Chunks, r.Good, r.Copies, how),
	}
	t.Empty = t.Foot
	for _, b := range r.Bad {
		t.Rows = append(t.Rows, []any{b.Slot, b.Chunk.Short(), b.Addr, b.Error})
	}
	return t
}
