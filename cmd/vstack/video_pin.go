package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func newVideoPin(a *cli.App) *cobra.Command {
	var given vstack.Layout
	var scheme string
	var wait bool
	cmd := &cobra.Command{
		Use: "pin VIDEO cold|hot|auto", Short: "Keep a video as fragments or as copies, whatever its popularity", Args: cobra.ExactArgs(2),
	}
	f := cmd.Flags()
	f.StringVar(&scheme, "scheme", "", "K+M: any K of its K+M fragments make a chunk (default: as the video lay when it was cold before, else the policy's; so the next two)")
	f.Uint32Var(&given.Head, "head", 0, "seconds of each track that stay copies")
	f.Uint32Var(&given.Small, "small", 0, "chunks below so many bytes stay copies")
	f.BoolVar(&wait, "wait", false, "wait until the video is converted")
	cmd.RunE = a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
		id, err := c.FindVideo(ctx, args[0])
		if err != nil {
			return err
		}
		req := wire.ClassRequest{Policy: vstack.ClassPolicy(args[1])}
		if req.Layout, err = layoutOf(ctx, c, f, id, scheme, given); err != nil {
			return err
		}
		cctx, cancel := context.WithTimeout(ctx, cli.CallTimeout)
		v, err := c.Meta.SetClass(cctx, id, req)
		cancel()
		if err != nil {
			return err
		}
		if wait {
			if v, err = c.AwaitClass(ctx, p.Say, v); err != nil {
				return err
			}
		}
		return p.Print(v, func() console.Table {
			return console.Table{Rows: [][]any{{"video", v.ID}, {"class", fmt.Sprintf("%s (policy %s)", v.Class, v.Policy)}, {"lies in", lies(v)}}}
		})
	})
	return cmd
}

// layoutOf is the layout that flags ask for, over the one that the video has or would get; nil
// without flags.
func layoutOf(ctx context.Context, c *cluster.Cluster, f *pflag.FlagSet, id vstack.VideoID, scheme string, given vstack.Layout) (*vstack.Layout, error) {
	if !f.Changed("scheme") && !f.Changed("head") && !f.Changed("small") {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, cli.CallTimeout)
	defer cancel()
	v, err := c.Meta.Video(ctx, id)
	if err != nil {
		return nil, err
	}
	layout := v.Layout
	if layout.IsZero() {
		r, err := c.Meta.Redundancy(ctx)
		if err != nil {
			return nil, err
		}
		layout = r.Policy.Layout
	}
	if f.Changed("scheme") {
		if layout.Scheme, err = vstack.ParseScheme(scheme); err != nil {
			return nil, err
		}
	}
	if f.Changed("head") {
		layout.Head = given.Head
	}
	if f.Changed("small") {
		layout.Small = given.Small
	}
	return &layout, nil
}

// lies says how a video's chunks lie, or are to lie.
func lies(v vstack.Video) string {
	switch {
	case v.Layout.IsZero():
		return "copies"
	case v.Class == vstack.ClassHot:
		return fmt.Sprintf("copies; when it cools %s", layoutText(v.Layout))
	}
	return layoutText(v.Layout)
}

func layoutText(l vstack.Layout) string {
	return fmt.Sprintf("fragments %s (any %d of %d); copies of the first %d s of each track, and of chunks below %s",
		l.Scheme, l.Scheme.K, l.Scheme.Total(), l.Head, console.Bytes(int64(l.Small)))
}
