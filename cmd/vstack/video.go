package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/cmd/vstack/operate"
	"github.com/vstack/vstack/cmd/vstack/watchers"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/cluster/show"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func newVideo(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{Use: "video", Short: "Upload, list, play, check and export videos"}
	cmd.AddCommand(newVideoUpload(a), newVideoJobs(a), newVideoCancel(a), newVideoLs(a), newVideoInfo(a), newVideoRm(a), newVideoPin(a), watchers.Visibility(a), newVideoPlay(a), newVideoVerify(a), operate.VideoCheck(a), operate.AcceptLoss(a), newVideoExport(a))
	return cmd
}

func newVideoLs(a *cli.App) *cobra.Command {
	var state string
	var limit int
	var quiet, stale bool
	cmd := &cobra.Command{
		Use: "ls", Short: "List videos, newest first", Args: cobra.NoArgs,
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, _ []string) error {
			list := c.Videos
			if stale {
				list = c.KnownVideos
			}
			videos, err := list(ctx, vstack.VideoState(state), limit)
			if errors.Is(err, vstack.ErrNoLeader) {
				return console.Hint(err, "vstack video ls --stale: what one member knows")
			}
			if err != nil {
				return err
			}
			if quiet && p.Format == console.FormatTable {
				for _, v := range videos {
					fmt.Fprintln(p.Out, v.ID)
				}
				return nil
			}
			return p.Print(wire.List[vstack.Video]{Items: videos}, func() console.Table {
				t := console.Table{
					Head:  []string{"video", "title", "state", "class", "length", "size", "chunks", "tracks", "views", "created"},
					Right: []int{4, 5, 6, 7, 8}, Flex: "title", Yield: []string{"tracks", "chunks", "class", "views", "created", "size", "length"},
					Empty: "no videos yet; vstack video upload FILE",
				}
				for _, v := range videos {
					t.Rows = append(t.Rows, []any{v.ID, v.Title, v.State, v.Class, console.Clock(v.Duration),
						console.Bytes(v.Size), v.Chunks, v.Tracks, v.Views, console.Ago(v.Created, time.Now())})
				}
				return t
			})
		}),
	}
	cmd.Flags().StringVar(&state, "state", "", "only uploading, published, failed or deleted (default: all but deleted)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "ids alone, one a line")
	cmd.Flags().BoolVar(&stale, "stale", false, "what one member knows: works without a leader, and may lack the newest changes")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most this many (0: all)")
	return cmd
}

// videoInfo is what `video info` prints: the entry, its tracks without their chunks,
// and what may fail.
type videoInfo struct {
	vstack.Video
	TrackList []vstack.Track `json:"track_list,omitempty"`
	HostsCan  int            `json:"hosts_can_fail"`
	Groups    int            `json:"groups"`
	Waiting   int            `json:"groups_waiting"`
	StoresCan int            `json:"stores_can_fail"`
	Held      *wire.Bears    `json:"held,omitempty"`
}

func newVideoInfo(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "info VIDEO", Short: "One video: tracks, codecs, and what may fail with it still readable", Args: cobra.ExactArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			id, err := c.FindVideo(ctx, args[0])
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
	info.HostsCan, info.StoresCan, info.Groups, info.Waiting, info.Held = pl.HostsCanFail, pl.StoresCanFail, pl.Groups, pl.Waiting, pl.Held
	return nil
}

func infoTable(v videoInfo) console.Table {
	t := console.Table{Rows: [][]any{
		{"video", v.ID}, {"title", v.Title}, {"state", v.State},
		{"class", classText(v)}, {"lies in", lies(v.Video)},
		{"length", console.Clock(v.Duration)},
		{"size", fmt.Sprintf("%s in %d chunks", console.Bytes(v.Size), v.Chunks)},
		{"source", fmt.Sprintf("%s, %s, %s", v.Source.Name, console.Bytes(v.Source.Size), v.Source.Container)},
		{"views", viewsText(v.Video)}, {"created", v.Created.Local().Format(time.DateTime)},
	}}
	for _, tr := range v.TrackList {
		t.Rows = append(t.Rows, []any{fmt.Sprintf("track %d", tr.Number), show.TrackText(tr)})
	}
	if v.State == vstack.VideoPublished {
		t.Rows = append(t.Rows, []any{"may fail", mayFail(v)})
	}
	return t
}

// mayFail says what is held, and beside it what would be if everybody held what they should.
func mayFail(v videoInfo) string {
	text := func(hosts, stores int) string {
		return fmt.Sprintf("any %s or any %s", console.Count(hosts, "host"), console.Count(stores, "store"))
	}
	placed := wire.Bears{Hosts: v.HostsCan, Stores: v.StoresCan}
	switch {
	case v.Held == nil || *v.Held == placed:
		return text(placed.Hosts, placed.Stores) + ", with every chunk still readable"
	case v.Held.Stores < 0:
		return fmt.Sprintf("nothing, for all that stores say: too few are up and say that they hold it; %s once they do", text(placed.Hosts, placed.Stores))
	}
	return fmt.Sprintf("%s, with every chunk still readable; %s once all stores hold what they should", text(v.Held.Hosts, v.Held.Stores), text(placed.Hosts, placed.Stores))
}

// viewsText says the views, and how many of them count for the class where that differs.
func viewsText(v vstack.Video) string {
	if v.Popularity == v.Views {
		return fmt.Sprint(v.Views)
	}
	return fmt.Sprintf("%d; its popularity is %d", v.Views, v.Popularity)
}

// classText says the class, and of a video on its way what it waits for.
func classText(v videoInfo) string {
	if v.Class == vstack.ClassCooling || v.Class == vstack.ClassWarming {
		return fmt.Sprintf("%s (policy %s): %d of %d placement groups have a store that still lacks something", v.Class, v.Policy, v.Waiting, v.Groups)
	}
	return fmt.Sprintf("%s (policy %s)", v.Class, v.Policy)
}

// listed tells which videos a command is about.
func listed(ids []vstack.VideoID) string {
	if len(ids) == 1 {
		return "video " + ids[0].String()
	}
	return console.Count(len(ids), "video")
}

func newVideoRm(a *cli.App) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rm VIDEO… --yes", Short: "Delete videos for ever", Args: cobra.MinimumNArgs(1),
		RunE: a.WithCluster(cli.CallTimeout, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			var ids []vstack.VideoID
			for _, arg := range args {
				id, err := c.FindVideo(ctx, arg)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			if err := cli.Confirm(yes, fmt.Sprintf("delete %s for ever", listed(ids))); err != nil {
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
