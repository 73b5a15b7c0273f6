package redundancy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// policyFlags are values that take the place of those of a policy.
type policyFlags struct {
	auto                    bool
	warm, cool              int64
	halfLife, minAge, dwell string
	bytesADay               int64
	hosts                   int
	scheme                  string
	head, small             uint32
}

func (p *policyFlags) add(f *pflag.FlagSet) {
	d := vstack.DefaultRedundancy
	f.BoolVar(&p.auto, "auto", d.Auto, "views decide about videos that are not pinned")
	f.Int64Var(&p.warm, "warm-above", d.WarmAbove, "popularity above which videos become copies")
	f.Int64Var(&p.cool, "cool-below", d.CoolBelow, "popularity below which videos become fragments")
	f.StringVar(&p.halfLife, "half-life", span(d.HalfLife), "time in which views count half")
	f.StringVar(&p.minAge, "min-age", span(d.MinAge), "time after its publish before a video may cool")
	f.StringVar(&p.dwell, "dwell", span(d.Dwell), "time that a video stays hot before it may cool again")
	f.Int64Var(&p.bytesADay, "bytes-a-day", d.BytesADay, "bytes of videos that may cool in 24 hours (0: all)")
	f.IntVar(&p.hosts, "min-hosts-can-fail", d.HostsCanFail, "hosts whose loss every cold video must bear")
	f.StringVar(&p.scheme, "scheme", d.Layout.Scheme.String(), "K+M: any K of its K+M fragments make a chunk")
	f.Uint32Var(&p.head, "head", d.Layout.Head, "seconds of each track that stay copies")
	f.Uint32Var(&p.small, "small", d.Layout.Small, "chunks below so many bytes stay copies")
}

// over is a policy with the values that were given.
func (p *policyFlags) over(f *pflag.FlagSet, to vstack.RedundancyPolicy) (vstack.RedundancyPolicy, bool, error) {
	changed := false
	var err error
	set := func(name string, apply func() error) {
		if f.Changed(name) && err == nil {
			changed, err = true, apply()
		}
	}
	value := func(apply func()) func() error { return func() error { apply(); return nil } }
	seconds := func(text string, to *int64) func() error {
		return func() (err error) { *to, err = parseSpan(text); return err }
	}
	set("auto", value(func() { to.Auto = p.auto }))
	set("warm-above", value(func() { to.WarmAbove = p.warm }))
	set("cool-below", value(func() { to.CoolBelow = p.cool }))
	set("half-life", seconds(p.halfLife, &to.HalfLife))
	set("min-age", seconds(p.minAge, &to.MinAge))
	set("dwell", seconds(p.dwell, &to.Dwell))
	set("bytes-a-day", value(func() { to.BytesADay = p.bytesADay }))
	set("min-hosts-can-fail", value(func() { to.HostsCanFail = p.hosts }))
	set("scheme", func() (err error) { to.Layout.Scheme, err = vstack.ParseScheme(p.scheme); return err })
	set("head", value(func() { to.Layout.Head = p.head }))
	set("small", value(func() { to.Layout.Small = p.small }))
	if err == nil {
		err = to.Check()
	}
	return to, changed, err
}

// span writes seconds as people do: 7d, 36h, 90m, 30s.
func span(seconds int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"d", 24 * 60 * 60}, {"h", 60 * 60}, {"m", 60}} {
		if seconds >= u.size && seconds%u.size == 0 {
			return fmt.Sprintf("%d%s", seconds/u.size, u.name)
		}
	}
	return fmt.Sprintf("%ds", seconds)
}

// parseSpan reads span's form: 7d, 36h, 90m, 30s.
func parseSpan(text string) (int64, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("time %q: %w: want such as 7d, 36h or 30s", text, console.ErrUsage)
		}
		return int64(n) * 24 * 60 * 60, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("time %q: %w: want such as 7d, 36h or 30s", text, console.ErrUsage)
	}
	return int64(d / time.Second), nil
}

func newPolicy(a *cli.App) *cobra.Command {
	var flags policyFlags
	cmd := &cobra.Command{
		Use: "policy", Short: "Show the policy, or change what flags name of it", Args: cobra.NoArgs,
		Long: `Popularity is views that decay: after each half-life they count half. A video that rises above --warm-above becomes copies, one that
falls below --cool-below fragments; in between it stays as it is. A scheme that the cluster has no place for, or that does not bear
the loss of --min-hosts-can-fail hosts, is refused with the figures; "vstack redundancy plan" with the same flags shows what would be
done. A change of --scheme is for videos that cool for the first time; others keep the scheme that they had ("vstack video pin VIDEO
cold --scheme K+M" gives a hot one another). For a scheme of more fragments than placement groups have targets, groups are widened
first, as far as there are stores ("vstack rebalance" says how far that is); they do not get narrower again.`,
	}
	flags.add(cmd.Flags())
	cmd.RunE = a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
		r, err := c.Meta.Redundancy(ctx)
		if err != nil {
			return err
		}
		policy, changed, err := flags.over(cmd.Flags(), r.Policy)
		if err != nil {
			return err
		}
		if changed {
			if r, err = c.Meta.SetRedundancy(ctx, wire.RedundancyRequest{Policy: &policy}); err != nil {
				return console.Hint(levelHint(err, c), "vstack redundancy plan, with the same flags")
			}
		}
		return p.Print(r.Policy, func() console.Table { return console.Table{Rows: policyRows(r.Policy)} })
	})
	return cmd
}

func policyRows(p vstack.RedundancyPolicy) [][]any {
	auto := "views decide about videos that are not pinned"
	if !p.Auto {
		auto = "off: videos stay in the class that they are in"
	}
	bytes := "all"
	if p.BytesADay > 0 {
		bytes = console.Bytes(p.BytesADay)
	}
	return [][]any{
		{"policy", auto},
		{"copies", fmt.Sprintf("above a popularity of %d", p.WarmAbove)},
		{"fragments", fmt.Sprintf("below a popularity of %d, %s after its publish and %s after it became hot again", p.CoolBelow, span(p.MinAge), span(p.Dwell))},
		{"views count", fmt.Sprintf("half after %s", span(p.HalfLife))},
		{"may cool", fmt.Sprintf("%s a day, where groups bear the loss of %s", bytes, console.Count(p.HostsCanFail, "host"))},
		{"lie in", fmt.Sprintf("%s (any %d of %d); copies of the first %d s of each track, and of chunks below %s", p.Layout.Scheme, p.Layout.Scheme.K, p.Layout.Scheme.Total(), p.Layout.Head, console.Bytes(int64(p.Layout.Small)))},
	}
}
