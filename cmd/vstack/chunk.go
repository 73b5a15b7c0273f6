package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
)

func newChunk(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "chunk", Short: "Chunks and where they are"}
	cmd.AddCommand(&cobra.Command{
		Use: "locate SLOT|CHUNK", Short: "Ask the stores which of them hold a chunk", Args: cobra.ExactArgs(1),
		Long: "Asks every store of the cluster whether it holds a chunk.\n\nSLOT is VIDEO/TRACK/SEQ; sequence 0 is a track's init chunk. CHUNK is a SHA-256 in hex.",
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			place, err := c.Locate(ctx, args[0])
			if err != nil {
				return console.Hint(fmt.Errorf("locate %s: %w", args[0], err), "vstack video ls, then vstack chunk locate VIDEO/1/1")
			}
			return p.Print(place, func() console.Table { return placeTable(place) })
		}),
	})
	return cmd
}

func placeTable(p cluster.ChunkPlace) console.Table {
	t := console.Table{Head: []string{"host", "address", "store", "target", "holds"}, Yield: []string{"store"}}
	for _, c := range p.Copies {
		target, holds := "-", "no"
		if c.Target > 0 {
			target = strconv.Itoa(c.Target)
		}
		if c.Voter {
			target += ", votes"
		}
		switch {
		case c.Error != "":
			holds = c.Error
		case c.Has:
			holds = "yes, " + console.Bytes(c.Size)
		}
		t.Rows = append(t.Rows, []any{c.Host, c.Addr, c.Store, target, holds})
	}
	t.Foot = "chunk " + p.Chunk.String()
	if p.PG != nil {
		t.Foot += fmt.Sprintf(", placement group %d at epoch %d", *p.PG, p.Epoch)
	}
	return t
}
