package operate

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

// VideoCheck asks inventories.
func VideoCheck(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "check [VIDEO…]", Short: "Ask every store for all that it holds, and compare it with what the catalog names", Args: cobra.ArbitraryArgs,
		Long: `Asks each store for its inventory, whatever it reported before, and says of the given videos, or of all published ones, which chunks
no store has and which have too few copies or fragments. It reads no bytes:  vstack video verify VIDEO --deep  does.

Exit code 0: everything is there; 6: everything can be read, but something is missing, or a store did not answer; 8: no store answered;
1: something is lost.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			ids, err := findVideos(ctx, c, args)
			if err != nil {
				return err
			}
			r, err := askHeld(ctx, a, c, ids)
			if err != nil {
				return err
			}
			if err := p.Print(r, func() console.Table { return filmTable(r) }); err != nil {
				return err
			}
			return heldOutcome(r)
		}),
	}
}

// AcceptLoss gives up a film whose bytes are gone.
func AcceptLoss(a *cli.App) *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use: "accept-loss VIDEO --yes", Short: "Give up a film some chunks of which no store has any more", Args: cobra.ExactArgs(1),
		Long: `Asks every store once more, says how much of the film is lost, and deletes it, so that nothing waits for bytes that will not come back.
Refused while everything can be read, and while a store does not answer that may have the rest; --force gives that up, too. Save what
plays before:  vstack video export VIDEO -o FILE.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			ids, err := findVideos(ctx, c, args)
			if err != nil {
				return err
			}
			r, err := askHeld(ctx, a, c, ids)
			if err != nil {
				return err
			}
			switch {
			case r.Stores == 0:
				return heldOutcome(r)
			case r.Lost == 0:
				return fmt.Errorf("video %s: %w: every chunk can be read: nothing is lost", ids[0], vstack.ErrInvalid)
			case len(r.Silent) > 0 && !force:
				return console.Hint(fmt.Errorf("%w: %s not answer, and may have what is missing", console.ErrDegraded, doStores(len(r.Silent))),
					"start them, or, if they are gone for good, --force; silent: %s", strings.Join(r.Silent, "; "))
			}
			film := r.Films[0]
			if err := cli.Confirm(yes, fmt.Sprintf("delete film %q, of which %d of %d chunks are lost", film.Title, film.Lost, film.Chunks)); err != nil {
				return err
			}
			if err := c.Meta.DeleteVideo(ctx, ids[0]); err != nil {
				return err
			}
			return p.Print(film, func() console.Table {
				return console.Table{Head: []string{"video", "title", "lost"}, Rows: [][]any{{film.Video, film.Title, fmt.Sprintf("%d of %d chunks", film.Lost, film.Chunks)}}, Foot: "it is given up and deleted"}
			})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really")
	cmd.Flags().BoolVar(&force, "force", false, "also while a store is silent that may have what is missing")
	return cmd
}

func findVideos(ctx context.Context, c *cluster.Cluster, args []string) (ids []vstack.VideoID, err error) {
	for _, arg := range args {
		id, err := c.FindVideo(ctx, arg)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func askHeld(ctx context.Context, a *cli.App, c *cluster.Cluster, ids []vstack.VideoID) (cluster.HeldReport, error) {
	prog, err := a.Progress()
	if err != nil {
		return cluster.HeldReport{}, err
	}
	defer prog.Close()
	r, err := c.Held(ctx, prog, ids...)
	if err != nil {
		return r, fmt.Errorf("check what stores hold: %w", err)
	}
	return r, nil
}

// filmTable shows the films that lack something.
func filmTable(r cluster.HeldReport) console.Table {
	t := console.Table{Head: []string{"video", "title", "chunks", "lost", "too few"}, Right: []int{2, 3, 4}, Flex: "title", Foot: heldFoot(r)}
	t.Empty = t.Foot
	for _, f := range r.Films {
		t.Rows = append(t.Rows, []any{f.Video, f.Title, f.Chunks, f.Lost, f.Few})
	}
	return t
}

// heldFoot is a report in a line. What nobody was asked for is not said to be lost.
func heldFoot(r cluster.HeldReport) string {
	out := fmt.Sprintf("%d videos, %d chunks; %d stores told what they hold, %d did not answer", r.Videos, r.Chunks, r.Stores, len(r.Silent))
	switch {
	case r.Stores == 0:
		return out
	case len(r.Silent) > 0:
		return fmt.Sprintf("%s; of those that did, %d chunks have too few copies or fragments, and %d cannot be had", out, r.Few, r.Lost)
	}
	return fmt.Sprintf("%s; %d chunks have too few copies or fragments, %d are lost", out, r.Few, r.Lost)
}

// heldOutcome is what a check ends with.
func heldOutcome(r cluster.HeldReport) error {
	switch {
	case r.Stores == 0 && r.Chunks > 0:
		return console.Hint(fmt.Errorf("%w: no store answered: what they hold is not known", vstack.ErrUnavailable), "start the hosts, and ask again: vstack video check")
	case r.Lost > 0 && len(r.Silent) == 0:
		return console.Hint(fmt.Errorf("%d chunks are held by no store", r.Lost), "export what plays; then: vstack video accept-loss VIDEO --yes")
	case r.Few > 0 || len(r.Silent) > 0:
		return console.Hint(fmt.Errorf("%w: %d chunks have fewer copies or fragments than they should, %s not answer", console.ErrDegraded, r.Few, doStores(len(r.Silent))), "vstack store ls")
	}
	return nil
}

func doStores(n int) string {
	if n == 1 {
		return "1 store does"
	}
	return fmt.Sprintf("%d stores do", n)
}
