package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

func newVideoUpload(a *app) *cobra.Command {
	var opt cluster.UploadOptions
	var wait bool
	cmd := &cobra.Command{
		Use: "upload FILE…", Short: "Store video files", Args: cobra.MinimumNArgs(1),
		RunE: a.withCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			if opt.Title != "" && len(args) > 1 {
				return fmt.Errorf("%w: --title with %d files", console.ErrUsage, len(args))
			}
			if err := checkUpload(opt); err != nil {
				return err
			}
			opt.NoWait = !wait
			prog, err := a.newProgress()
			if err != nil {
				return err
			}
			var jobs []wire.Job
			for _, file := range args {
				job, err := c.Upload(ctx, prog, file, opt)
				if err != nil {
					prog.Close()
					return hintUpload(fmt.Errorf("upload %s: %w", file, err), file)
				}
				jobs = append(jobs, job)
			}
			prog.Close()
			return p.Print(wire.List[wire.Job]{Items: jobs}, func() console.Table { return jobTable(jobs) })
		}),
	}
	f := cmd.Flags()
	f.StringVar(&opt.Title, "title", "", "title (default: the file's name)")
	f.StringSliceVar(&opt.Renditions, "renditions", nil, "renditions to store, of source,1080p,720p,480p,360p (default: source)")
	f.StringVar(&opt.Class, "class", "auto", "storage class: auto, hot or cold")
	f.BoolVar(&opt.KeepOriginal, "keep-original", false, "also keep the file's very bytes")
	f.BoolVar(&opt.Resume, "resume", false, "go on with the interrupted upload of the same file; what was stored is not sent again")
	f.BoolVar(&wait, "wait", true, "wait until the video is published")
	f.StringVar(&opt.Uploader, "uploader", "", "HOST:PORT of the uploader to use (default: any that is ready)")
	return cmd
}

// checkUpload refuses options before a file is sent that the uploader would refuse after.
func checkUpload(opt cluster.UploadOptions) error {
	if !slices.Contains([]vstack.ClassPolicy{vstack.PolicyAuto, vstack.PolicyHot, vstack.PolicyCold}, vstack.ClassPolicy(opt.Class)) {
		return fmt.Errorf("%w: --class %q: want auto, hot or cold", console.ErrUsage, opt.Class)
	}
	for _, r := range opt.Renditions {
		if !ffmpeg.ValidRendition(r) {
			return fmt.Errorf("%w: --renditions %q: want source, 1080p, 720p, 480p or 360p", console.ErrUsage, r)
		}
	}
	return nil
}

// hintUpload says what helps against a refusal: sending the same file again does not.
func hintUpload(err error, file string) error {
	for why, hint := range map[*vstack.Sentinel]string{
		vstack.ErrNotMedia: "ffprobe " + file, vstack.ErrNoStreams: "ffprobe " + file, vstack.ErrMediaUnfit: "ffprobe " + file,
		vstack.ErrFormInvalid: "vstack video upload --help", vstack.ErrUploadNotLive: "vstack video ls", vstack.ErrTooLarge: "a smaller file, or a larger ingest.max_upload on the hosts",
	} {
		if errors.Is(err, why) {
			return console.Hint(err, "%s", hint)
		}
	}
	return err
}

func jobTable(jobs []wire.Job) console.Table {
	t := console.Table{Head: []string{"video", "title", "state", "length", "chunks", "sent", "reused"}, Right: []int{3, 4, 5, 6}}
	var notes []string
	for _, j := range jobs {
		t.Rows = append(t.Rows, []any{j.Video, console.Shorten(j.Title, 40), j.State, console.Clock(j.Duration), j.Chunks, console.Bytes(j.Bytes), j.Reused})
		for _, w := range j.Warnings {
			notes = append(notes, fmt.Sprintf("note: %s: %s", j.Title, w))
		}
	}
	t.Foot = strings.Join(notes, "\n")
	return t
}
