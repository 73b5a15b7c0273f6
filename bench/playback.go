package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/screening"
	"github.com/vstack/vstack/bench/viewing"
	"github.com/vstack/vstack/bench/viewing/verdict"
)

// What a playback is by default.
const (
	playbackSeeds   = 8
	playbackBitrate = 8e6
	playbackBuffer  = 6 * time.Second
	playbackLength  = 40 * time.Second
	minPlayback     = 5 * time.Second
	// commandFirst is what the first picture may take from the command on over a link of 8 Mbit/s
	// and 40 ms: 0.23 s from the manifest on, and 0.2 s for the catalog.
	commandFirst = 0.43
)

// runPlayback has policies play films from hosts behind bad links, in pairs.
func runPlayback(ctx context.Context, opt Options) ([]report.Row, error) {
	const name = "playback"
	if err := screening.Available(); err != nil {
		opt.Progress("  NOT MEASURED: " + err.Error())
		return []report.Row{{Scenario: name, Name: "films over links between namespaces", Note: "not measured: " + err.Error()}}, nil
	}
	seeds := opt.Rounds
	if !opt.roundsGiven {
		seeds = playbackSeeds
	}
	s, err := screening.Run(ctx, screening.Options{
		Dir: opt.Dir, Exe: opt.Exe, Policies: opt.Policies, Links: opt.Links, Traces: opt.Traces, Seeds: seeds,
		Bitrate: playbackBitrate, Buffer: playbackBuffer, Length: opt.Length, Progress: opt.Progress,
	})
	if err != nil {
		return nil, err
	}
	ours := opt.Policies[0]
	var rows []report.Row
	for _, set := range s.Results.Sets() {
		for _, base := range opt.Policies[1:] {
			rows = append(rows, besideRows(name, set, base, s.Results.At(set, ours), s.Results.At(set, base))...)
		}
	}
	for _, t := range s.Results.Targets(ours, opt.Policies[1:]) {
		label := "everywhere"
		if t.Set.Scenario != "" {
			label = t.Set.Scenario
		}
		row := report.Figure(name, label+": "+t.Name, t.Unit, t.Value, &report.Bound{Op: t.Op, Limit: t.Limit})
		row.Note = t.Note
		rows = append(rows, row)
	}
	if len(s.FromCommand) > 0 {
		row := report.Row{Scenario: name, Name: "thin: from the command to the first picture's bytes, catalog included", Unit: "s", Bound: report.AtMost(commandFirst)}
		for _, v := range s.FromCommand {
			row.Pairs = append(row.Pairs, paired.Pair{Ours: v})
		}
		rows = append(rows, row)
	}
	late := report.Figure(name, "the links themselves late, p95 of the worst", "ms", s.LateP95*1e3, report.AtMost(link.MaxLate.Seconds()*1e3))
	if s.Late > 0 {
		late.Note = fmt.Sprintf("%d pairs were left out because a link kept bad time thrice", s.Late)
	}
	return append(rows, late), nil
}

// besideRows are ours beside one baseline's under one kind of links.
func besideRows(name string, set verdict.Key, base string, ours, theirs []viewing.Outcome) (rows []report.Row) {
	for _, m := range viewing.Judged() {
		var pairs []paired.Pair
		for i := range min(len(ours), len(theirs)) {
			pairs = append(pairs, paired.Pair{Ours: m.Of(ours[i]), Base: m.Of(theirs[i])})
		}
		rows = append(rows, report.Row{Scenario: name, Name: set.Scenario + ": " + m.Name, Unit: m.Unit, Baseline: base, Pairs: pairs})
	}
	return rows
}
