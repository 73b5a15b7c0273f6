package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vstack/vstack/bench/flips"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/quicclient"
)

const (
	// flipsPerRound scales --rounds: the default of 15 rounds is 10,005 flips.
	flipsPerRound = 667
	// flipClip is the length of the uploaded film, and flipSmall the number of small chunks
	// of an open upload beside it, with votes.
	flipClip, flipSmall = 20, 300
)

// runFlips flips bytes in the files of a store of a running host, after a real upload.
func runFlips(ctx context.Context, opt Options) (_ []report.Row, err error) {
	opt.superblock = 16 << 20 // the smallest: many files, most of them sealed
	c, err := rig.Open(ctx, opt.cluster(), quicclient.WriteTCP)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	clip := filepath.Join(opt.Dir, "flips.mp4")
	if err := players.Clip(ctx, clip, players.Picture{Seconds: flipClip}); err != nil {
		return nil, err
	}
	if _, err := players.Upload(ctx, opt.Exe, c.Lab.Client, clip, "flips"); err != nil {
		return nil, err
	}
	up, err := c.OpenUpload(ctx, "flips")
	if err != nil {
		return nil, err
	}
	if _, err := up.Fill(ctx, flipSmall, 4<<10); err != nil {
		return nil, err
	}
	host := c.Lab.Hosts[0]
	findings, err := flips.Log(host.Log())
	if err != nil {
		return nil, err
	}
	tr := &http.Transport{TLSClientConfig: c.ID.ClientTLS()}
	defer tr.CloseIdleConnections()
	want := opt.Rounds * flipsPerRound
	res, err := flips.Run(ctx, &flips.Target{
		Dir: host.Config.Data.Stores[0].Dir, Addr: host.Config.Data.Stores[0].Addr, HTTP: &http.Client{Transport: tr}, Findings: findings,
	}, flips.Options{Flips: want, Progress: opt.Progress})
	if err != nil {
		return nil, fmt.Errorf("%w; %s says last:\n%s", err, host.ID, host.LogTail(30))
	}
	return flipRows(res, want), nil
}

// flipRows tells what became of the flips, region by region.
func flipRows(res *flips.Result, want int) []report.Row {
	none := report.Exactly(0)
	count := func(what string, n int, b *report.Bound) report.Row {
		return report.Figure("flips", what, "", float64(n), b)
	}
	rows := []report.Row{
		count("bytes flipped", res.Flips, report.AtLeast(float64(want))),
		count("chunks read beside them", res.Reads, nil),
		count("reads refused with CORRUPT", res.Refused, nil),
		count("reads answered with wrong bytes", res.Wrong, none),
		count("chunks healed from the peers, read right again", res.Healed, report.Exactly(float64(res.Refused))),
		count("flips unreported where they may not be", res.Missed, none),
		count("findings or refusals without a cause", res.Uncaused, none),
		count("flips whose file was compacted away first, not counted", res.Gone, nil),
	}
	var regions []flips.Region
	for r := range res.Regions {
		regions = append(regions, r)
	}
	slices.Sort(regions)
	for _, r := range regions {
		n := res.Regions[r]
		row := count(fmt.Sprintf("%s: reported by a read / by scrub / not", r), n.Flips, nil)
		row.Unit = fmt.Sprintf("%d / %d / %d", n.Read, n.Scrubbed, n.Missed)
		if why := r.Harmless(); why != "" {
			row.Note = why
		}
		rows = append(rows, row)
	}
	if len(res.Stories) > 0 {
		rows[0].Note = strings.Join(res.Stories, "\n")
	}
	return rows
}
