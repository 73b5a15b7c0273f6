package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/cluster/show"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/wire"
)

func newVideoUpload(a *cli.App) *cobra.Command {
	var opt cluster.UploadOptions
	var wait bool
	cmd := &cobra.Command{
		Use: "upload FILE…", Short: "Store video files", Args: cobra.MinimumNArgs(1),
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			if opt.Title != "" && len(args) > 1 {
				return fmt.Errorf("%w: --title with %d files", console.ErrUsage, len(args))
			}
			if len(opt.Subtitles) > 0 && len(args) > 1 {
				return fmt.Errorf("%w: --subtitles with %d files", console.ErrUsage, len(args))
			}
			if err := opt.Validate(); err != nil {
				return err
			}
			opt.NoWait, opt.Memory = !wait, cluster.MemoryDir()
			prog, err := a.Progress()
			if err != nil {
				return err
			}
			var jobs []wire.Job
			for _, file := range args {
				job, err := c.Upload(ctx, prog, file, opt)
				if err != nil {
					prog.Close()
					return cluster.HintUpload(fmt.Errorf("upload %s: %w", file, err), file)
				}
				jobs = append(jobs, job)
			}
			prog.Close()
			return p.Print(wire.List[wire.Job]{Items: jobs}, func() console.Table { return show.Uploaded(jobs) })
		}),
	}
	f := cmd.Flags()
	f.StringVar(&opt.Title, "title", "", "title (default: the file's name)")
	f.StringSliceVar(&opt.Renditions, "renditions", nil, "renditions to store, of source,1080p,720p,480p,360p (default: source)")
	f.StringVar(&opt.Class, "class", "", "storage class: auto, hot or cold (default: auto)")
	f.BoolVar(&opt.KeepOriginal, "keep-original", false, "also keep the file's very bytes")
	f.StringVar(&opt.Visibility, "visibility", "", "who may watch it from its first byte on: public, unlisted or private (default: public)")
	f.StringArrayVar(&opt.Subtitles, "subtitles", nil, "FILE[:LANGUAGE] of subtitles for the film (SubRip, WebVTT, SSA, ASS, TTML); may stand several times")
	f.BoolVar(&opt.Dedup, "dedup", false, "where a video of the very same file exists, take that one and store nothing")
	f.BoolVar(&opt.Resume, "resume", false, "go on with the interrupted upload of the same file, with the options of its first attempt; what was stored is not sent again")
	f.BoolVar(&wait, "wait", true, "wait until the video is published")
	f.StringVar(&opt.Ticket, "ticket", os.Getenv("VSTACK_TICKET"), "the right to upload, where the bundle has no certificate (default: VSTACK_TICKET)")
	f.StringVar(&opt.Uploader, "uploader", "", "HOST:PORT of the uploader to use (default: any that is ready)")
	return cmd
}
