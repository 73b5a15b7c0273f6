package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func newVideo(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "video", Short: "Upload, list, play, check and export videos"}
	cmd.AddCommand(newVideoUpload(a), newVideoLs(a), newVideoInfo(a), newVideoRm(a), newVideoPlay(a), newVideoVerify(a), newVideoExport(a))
	return cmd
}

func newVideoLs(a *app) *cobra.Command {
	var state string
	var limit int
	cmd := &cobra.Command{
		Use: "ls", Short: "List videos, newest first", Args: cobra.NoArgs,
		RunE: a.withCluster(callTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			videos, err := c.Videos(ctx, vstack.VideoState(state), limit)
			if err != nil {
				return err
			}
			return p.Print(wire.List[vstack.Video]{Items: videos}, func() console.Table {
				t := console.Table{
					Head:  []string{"video", "title", "state", "class", "length", "size", "chunks", "tracks", "views", "created"},
					Right: []int{4, 5, 6, 7, 8}, Empty: "no videos yet; vstack video upload FILE",
				}
				for _, v := range videos {
					t.Rows = append(t.Rows, []any{v.ID, console.Shorten(v.Title, 32), v.State, v.Class, console.Clock(v.Duration),
						console.Bytes(v.Size), v.Chunks, v.Tracks, v.Views, console.Ago(v.Created, time.Now())})
				}
				return t
			})
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "only uploading, published, failed or deleted (default: all but deleted)")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most this many (0: all)")
	return cmd
}

// videoArg reads the one VIDEO argument.
func videoArg(args []string) (vstack.VideoID, error) {
	id, err := vstack.ParseVideoID(args[0])
	return id, console.Hint(err, "vstack video ls")
}

// videoInfo is what `video info` prints: the entry, its tracks without their chunks,
// and what may fail.
type videoInfo struct {
	vstack.Video
	TrackList []vstack.Track `json:"track_list,omitempty"`
	HostsCan  int            `json:"hosts_can_fail"`
	StoresCan int            `json:"stores_can_fail"`
}

func newVideoInfo(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "info VIDEO", Short: "One video: tracks, codecs, and what may fail with it still readable", Args: cobra.ExactArgs(1),
		RunE: a.withCluster(callTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			id, err := videoArg(args)
			if err != nil {
				return err
			}
			v, err := c.Meta.Video(ctx, id)
			if err != nil {
				return console.Hint(err, "vstack video ls")
			}
			info := videoInfo{Video: v}
			if v.State == vstack.VideoPublished {
				if err := fillInfo(ctx, c, &info); err != nil {
					return err
				}
			}
			return p.Print(info, func() console.Table { return infoTable(info) })
		}),
	}
}

func fillInfo(ctx context.Context, c *cluster.Cluster, info *videoInfo) error {
	m, err := c.Meta.Manifest(ctx, info.ID)
	if err != nil {
		return err
	}
	for _, t := range m.Tracks {
		t.Chunks = nil // thousands of hashes are what the manifest route is for
		info.TrackList = append(info.TrackList, t)
	}
	pl, err := c.Meta.VideoPlacement(ctx, info.ID)
	if err != nil {
		return err
	}
	info.HostsCan, info.StoresCan = pl.HostsCanFail, pl.StoresCanFail
	return nil
}

func infoTable(v videoInfo) console.Table {
	t := console.Table{Rows: [][]any{
		{"video", v.ID}, {"title", v.Title}, {"state", v.State},
		{"class", fmt.Sprintf("%s (policy %s)", v.Class, v.Policy)},
		{"length", console.Clock(v.Duration)},
		{"size", fmt.Sprintf("%s in %d chunks", console.Bytes(v.Size), v.Chunks)},
		{"source", fmt.Sprintf("%s, %s, %s", v.Source.Name, console.Bytes(v.Source.Size), v.Source.Container)},
		{"views", v.Views}, {"created", v.Created.Local().Format(time.DateTime)},
	}}
	for _, tr := range v.TrackList {
		t.Rows = append(t.Rows, []any{fmt.Sprintf("track %d", tr.Number), cluster.TrackText(tr)})
	}
	if v.State == vstack.VideoPublished {
		t.Rows = append(t.Rows, []any{"may fail", fmt.Sprintf("any %s or any %s, with every chunk still readable", console.Count(v.HostsCan, "host"), console.Count(v.StoresCan, "store"))})
	}
	return t
}

func newVideoRm(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm VIDEO…", Short: "Delete videos for ever", Args: cobra.MinimumNArgs(1),
		RunE: a.withCluster(callTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			var ids []vstack.VideoID
			for i := range args {
				id, err := videoArg(args[i:])
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			if err := confirm(yes, fmt.Sprintf("delete %s for ever", console.Count(len(ids), "video"))); err != nil {
				return err
			}
			for _, id := range ids {
				if err := c.Meta.DeleteVideo(ctx, id); err != nil {
					return err
				}
				p.Say("deleted %s", id)
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
	return cmd
}
