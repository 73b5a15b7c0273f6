package redundancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func newStatus(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "What may fail, and which videos move", Args: cobra.NoArgs,
		Long: `Says what may fail with every video still readable, by what stores say that they hold: a lower bound, since what is not said is
not counted. A store that has just started has said nothing for a moment. "vstack video verify" asks them for each chunk of one video.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			r, err := c.Meta.Redundancy(ctx)
			if err != nil {
				return err
			}
			return p.Print(r, func() console.Table { return statusTable(r) })
		}),
	}
}

// levelHint says what helps where the cluster's feature level is too low.
func levelHint(err error, c *cluster.Cluster) error {
	if errors.Is(err, vstack.ErrInvalid) && c.Meta.Level() < vstack.LevelPolicy {
		return console.Hint(err, "vstack raft level raise")
	}
	return err
}

func statusTable(r wire.Redundancy) console.Table {
	t := console.Table{Rows: [][]any{{"may fail", mayFail(r)}}}
	for _, class := range []vstack.StorageClass{vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming} {
		n := r.Classes[class]
		t.Rows = append(t.Rows, []any{class, fmt.Sprintf("%s, %s", console.Count(n.Videos, "video"), console.Bytes(n.Bytes))})
	}
	if worst := worstGroups(r); worst != "" {
		t.Rows = append(t.Rows, []any{"worst groups", worst})
	}
	moves := fmt.Sprintf("%s on their way", console.Count(r.Moving, "video"))
	if r.Paused {
		moves += "; moves are paused"
	}
	t.Rows = append(t.Rows, []any{"moves", moves},
		[]any{"by popularity", fmt.Sprintf("%s should cool (%s), %s should warm (%s)", console.Count(r.ToCool.Videos, "video"), console.Bytes(r.ToCool.Bytes),
			console.Count(r.ToWarm.Videos, "video"), console.Bytes(r.ToWarm.Bytes))})
	if r.Later.Videos > 0 {
		t.Rows = append(t.Rows, []any{"of them later", fmt.Sprintf("%s: %s a day may cool, %s moved in the last 24 hours", console.Count(r.Later.Videos, "video"),
			console.Bytes(r.Policy.BytesADay), console.Bytes(r.Spent))})
	}
	for _, w := range r.Waiting {
		t.Rows = append(t.Rows, []any{"waits", fmt.Sprintf("%s to be %s: %s", w.Video, w.To, w.Why)})
	}
	if more := r.Waits - len(r.Waiting); more > 0 {
		t.Rows = append(t.Rows, []any{"wait", fmt.Sprintf("%d more", more)})
	}
	t.Rows = append(t.Rows, policyRows(r.Policy)...)
	if r.Behind {
		t.Foot = fmt.Sprintf("the leader has looked at %d videos so far, and reads on", r.Videos)
	}
	return t
}

// mayFail is the worst of all videos in words.
func mayFail(r wire.Redundancy) string {
	switch {
	case r.Bears == nil:
		return "nothing is published"
	case r.Unproven > 0:
		return fmt.Sprintf("%s not known to be readable now: too few stores are up and say that they hold what it takes", console.Count(r.Unproven, "video"))
	}
	out := bears(*r.Bears) + ", with every video still readable"
	if r.Below > 0 {
		out += fmt.Sprintf("; %s below the policy's %s", console.Count(r.Below, "video"), console.Count(r.Policy.HostsCanFail, "host"))
	}
	return out
}

// worstGroups counts the groups that are worse than others.
func worstGroups(r wire.Redundancy) string {
	if r.Bears == nil {
		return ""
	}
	n, example := 0, vstack.PG(0)
	for _, g := range r.Groups {
		if g.Stores == r.Bears.Stores {
			if n++; n == 1 {
				example = g.PG
			}
		}
	}
	if n == 0 || n == len(r.Groups) {
		return ""
	}
	return fmt.Sprintf("%d of %d, as group %d", n, len(r.Groups), example)
}
