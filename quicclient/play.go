package quicclient

import (
	"context"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/playback"
	"github.com/vstack/vstack/quicclient/transfer"
)

// The nouns of package playback, under the names that users of this package know.
type (
	// PlayOptions says what to play and how.
	PlayOptions = playback.Options
	// Sink takes a playback's chunks.
	Sink = playback.Sink
	// FragmentSink takes them by fragment.
	FragmentSink = playback.FragmentSink
	// Command changes a playback that runs.
	Command = playback.Command
	// Event is one step of a playback.
	Event = playback.Event
	// EventKind says what happened.
	EventKind = playback.EventKind
	// Report is how a playback went.
	Report = playback.Report
	// StoreShare is what one store delivered to a playback.
	StoreShare = playback.StoreShare
	// ChunkRecord is how one chunk of a playback came.
	ChunkRecord = playback.ChunkRecord
	// Source is what one store delivered of a chunk.
	Source = playback.Source
)

// What can happen in a playback.
const (
	EventStarted = playback.EventStarted
	EventChunk   = playback.EventChunk
	EventStall   = playback.EventStall
	EventResumed = playback.EventResumed
	EventEnded   = playback.EventEnded
	EventSeek    = playback.EventSeek
	EventSwitch  = playback.EventSwitch
)

// Play reads the tracks of a video in playing order, verifies every chunk, hands them
// to the sink, and reports how a viewer would have fared. With a Speed above 0 it takes
// as long as the media does.
//
// Errors: ErrInvalid for options or a manifest that make no sense; what Fetch and the
// sink return. The report covers what happened until then.
func (c *Client) Play(ctx context.Context, m *vstack.Manifest, opt PlayOptions) (Report, error) {
	fail := func(r Report, err error) (Report, error) {
		return r, fmt.Errorf("play video %s: %w", m.Video, err)
	}
	began := c.pool.Now()
	now := func() time.Duration { return c.pool.Now() - began }
	fetch := func(ctx context.Context, ask playback.Ask) ([]byte, playback.Delivery, func(), error) {
		f, err := c.fetch(ctx, transfer.Request{
			Slot: ask.Slot, Ref: ask.Ref, Due: func() time.Duration { return began + ask.Due() }, Paces: ask.Paces, Progress: ask.Progress,
		}, c.lies.of(ask.Slot, ask.Ref.Size))
		return f.Data, f.Delivery, f.Release, err
	}
	p, err := playback.New(m, opt, fetch, now)
	if err != nil {
		return fail(Report{}, err)
	}
	places, err := c.pool.Placement(ctx)
	if err != nil {
		return fail(Report{}, err)
	}
	report, err := p.Run(ctx)
	report.Policy = c.cfg.Policy.Name()
	for i := range report.Stores {
		if s, ok := places.Store(report.Stores[i].Store); ok {
			report.Stores[i].Host, report.Stores[i].Addr = s.Host, s.Addr
		}
	}
	if err != nil {
		return fail(report, err)
	}
	return report, nil
}
