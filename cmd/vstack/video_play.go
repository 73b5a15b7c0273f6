package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vstack/vstack/cmd/vstack/cli"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/cluster/show"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/policy"
)

func newVideoPlay(a *cli.App) *cobra.Command {
	var chooser, speed, out, report, token string
	var adaptive, force bool
	cmd := &cobra.Command{
		Use: "play VIDEO", Short: "Play a video through the smart client, every chunk verified", Args: cobra.ExactArgs(1),
		Long: `Reads the first video and audio track as a player would: 30 s of buffer, at most 4 chunks in flight,
each fragment checked against its leaves, or each chunk against its SHA-256. Without --out the bytes are verified and
dropped. --out FILE writes what was played as a file (.mp4, .mkv), over one that exists with --force only; --out - writes
picture and sound as fragmented MP4 to standard output, for a player.`,
		RunE: a.WithCluster(0, func(ctx context.Context, c *cluster.Cluster, p *console.Printer, args []string) error {
			if adaptive && out != "" {
				return fmt.Errorf("%w: --adaptive changes between tracks, --out wants one", console.ErrUsage)
			}
			if token != "" {
				ctx = watch.With(ctx, token)
			}
			id, err := c.FindVideo(ctx, args[0])
			if err != nil {
				return err
			}
			if out != "" && out != "-" {
				if err := checkExport(out, false, force); err != nil {
					return err
				}
			}
			opt := quicclient.PlayOptions{Adaptive: adaptive}
			if opt.Speed, err = parseSpeed(speed); err != nil {
				return err
			}
			prog, err := a.Progress()
			if err != nil {
				return err
			}
			r, err := c.PlayTo(ctx, prog, id, chooser, out, p.Out, opt)
			prog.Close()
			if report != "" && r.Total > 0 {
				err = errors.Join(err, writeReport(report, r))
			}
			if err != nil {
				return console.Left(err, leftOf(r, out), cmdline("vstack video play "+id.String(), out))
			}
			if out == "-" {
				p.Out = p.Err // standard output carries the video
			}
			return p.Print(r, func() console.Table { return playTable(r) })
		}),
	}
	f := cmd.Flags()
	f.StringVar(&chooser, "policy", "", "how stores are chosen, one of "+strings.Join(policy.Names(), ", ")+" (default: the best there is)")
	f.BoolVar(&adaptive, "adaptive", false, "change between renditions as the links allow")
	f.StringVar(&speed, "speed", "max", "media seconds a second: 1, 2 …, or max")
	f.StringVar(&out, "out", "", "write what is played to this file, or - for standard output")
	f.BoolVar(&force, "force", false, "replace the file of --out if it exists")
	f.StringVar(&token, "token", "", "playback token of a private video, which is then named by its whole id")
	f.StringVar(&report, "report", "", "write the full report, every chunk included, to this JSON file")
	return cmd
}

// leftOf says what an interrupted playback leaves.
func leftOf(r quicclient.Report, out string) string {
	text := fmt.Sprintf("%d of %d chunks were read and verified; nothing goes on", r.Verified, r.Total)
	if r.Total == 0 {
		text = "nothing was read"
	}
	if out != "" && out != "-" {
		text += ", and " + out + " was not written"
	}
	return text
}

// cmdline is a playback's command, which begins at the film's first byte.
func cmdline(play, out string) string {
	if out != "" && out != "-" {
		play += " --out " + out
	}
	return play + ", from the beginning"
}

func parseSpeed(s string) (float64, error) {
	if s == "max" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "x"), 64)
	if err != nil || v <= 0 {
		return 0, fmt.Errorf("%w: --speed %q: want a number above 0 or max", console.ErrUsage, s)
	}
	return v, nil
}

func playTable(r quicclient.Report) console.Table {
	t := console.Table{Rows: [][]any{
		{"verified", fmt.Sprintf("%d of %d chunks, %s", r.Verified, r.Total, console.Bytes(r.Bytes))},
		{"started after", console.Seconds(r.Startup)},
		{"stalls", fmt.Sprintf("%d, %s", r.Stalls, console.Seconds(r.StallTime))},
		{"late fragments", fmt.Sprintf("%d, p95 %s, max %s", r.Late, console.Seconds(r.Lateness.P95), console.Seconds(r.Lateness.Max))},
		{"chunk latency", fmt.Sprintf("p50 %s, p95 %s, max %s", console.Seconds(r.Latency.P50), console.Seconds(r.Latency.P95), console.Seconds(r.Latency.Max))},
		{"took", fmt.Sprintf("%s for %s of media", console.Seconds(r.Elapsed), console.Clock(r.Media))},
		{"policy", r.Policy},
		{"retries, hedges", fmt.Sprintf("%d, %d", r.Retries, r.Hedges)},
	}}
	for _, row := range show.Shares(r) {
		t.Rows = append(t.Rows, []any{row[0], row[1] + "  " + row[2]})
	}
	return t
}

func writeReport(path string, r quicclient.Report) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(path, append(body, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
