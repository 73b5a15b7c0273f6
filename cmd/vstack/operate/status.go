package operate

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/deploy/checkup"
	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

// statusReport is what `vstack status` says as JSON.
type statusReport struct {
	Summary  string           `json:"summary"`
	State    doctor.State     `json:"state"` // the worst of Findings
	Findings []doctor.Finding `json:"findings"`
	Stats    *wire.Stats      `json:"stats,omitempty"` // absent without a leader
}

// Status is the command that looks at the whole cluster from this machine.
func Status(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Is the cluster well, and what mends it if not", Args: cobra.NoArgs,
		Long: `Looks at the whole cluster from this machine: members, hosts, stores, groups, copies, space, orders that do not end,
programs, certificates, clocks, and whether UDP reaches the stores from here. Exit code 0: all is well; 6: something should be better; 1: something is broken.
vstack doctor looks at this machine.`,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			facts, err := checkup.Gather(ctx, c)
			if err != nil {
				return err
			}
			r := statusReport{Summary: checkup.Summary(facts), Findings: checkup.Judge(facts)}
			r.State = doctor.Worst(r.Findings)
			if stats, err := c.Meta.Stats(ctx); err == nil { // what is wrong with the catalog is among the findings
				r.Stats = &stats
			}
			if err := p.Print(r, func() console.Table {
				t := FindingTable(a, r.Findings)
				t.Foot = r.Summary
				return t
			}); err != nil {
				return err
			}
			switch r.State {
			case doctor.Fail:
				return fmt.Errorf("something is broken: see the lines marked fail")
			case doctor.Warn:
				return fmt.Errorf("%w: see the lines marked warn", console.ErrDegraded)
			}
			return nil
		}),
	}
}

// FindingTable shows findings, each with what mends it.
func FindingTable(a *cli.App, findings []doctor.Finding) console.Table {
	paint := a.Paint(a.Out)
	t := console.Table{Head: []string{"check", "state", "finding"}}
	for _, f := range findings {
		state := map[doctor.State]func(string) string{doctor.OK: paint.Good, doctor.Warn: paint.Warn, doctor.Fail: paint.Bad}[f.State](string(f.State))
		t.Rows = append(t.Rows, []any{f.Check, console.Coloured(state), f.Detail})
		if f.Fix != "" {
			t.Rows = append(t.Rows, []any{"", "", console.Coloured(paint.Dim("  mend: " + f.Fix))})
		}
	}
	return t
}
