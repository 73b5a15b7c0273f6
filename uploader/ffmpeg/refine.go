package ffmpeg

import (
	"context"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// longHole is the longest hole of a sound that a filter fills, in seconds: it holds it
	// in memory. Package fmp4 fills longer ones.
	longHole = 5.0
	// maxHole is what package fmp4 fills, in seconds.
	maxHole = 900.0
)

// maxCuts bounds the cut points of a plan: their list is one argument of a process, at
// most 128 KiB.
const maxCuts = 12000

// Forward says that a file can be cut by the plan while it arrives: Refine has nothing to add.
func (p Plan) Forward() bool {
	_, wanted := p.scanned()
	return !wanted
}

// scanned says whether Refine looks at all packets, and which streams are copied.
func (p Plan) scanned() (copied map[int]bool, wanted bool) {
	copied = map[int]bool{}
	for _, k := range p.Tracks {
		copied[k.Stream.Index] = copied[k.Stream.Index] || k.Copy
	}
	for _, k := range p.Tracks {
		wanted = wanted || !k.Copy && (k.Kind == vstack.TrackAudio || copied[k.Stream.Index])
	}
	return copied, wanted
}

// Refine completes a plan with what only all packets of the file can say, if it depends on
// that: the cut points of a copied picture that has converted renditions beside it, and
// long holes in sound that is converted.
func (t Tools) Refine(ctx context.Context, p Plan, file string) (Plan, error) {
	copied, wanted := p.scanned()
	if !wanted {
		return p, nil
	}
	scan, err := t.Scan(ctx, p.Origin, file)
	if err != nil {
		return p, err
	}
	tracks := append([]Track(nil), p.Tracks...)
	for i := range tracks {
		k := &tracks[i]
		seen := scan.Streams[k.Stream.Index]
		switch {
		case k.Kind == vstack.TrackAudio && !k.Copy:
			if seen.Gap > maxHole {
				return p, fmt.Errorf("plan: %w: stream %d has a hole of %.0f s, at most %.0f s are filled with silence", vstack.ErrMediaUnfit, k.Stream.Index, seen.Gap, maxHole)
			}
			if k.Holes = seen.Gap > longHole; k.Holes {
				p.Warnings = append(p.Warnings, fmt.Sprintf("stream %d has a hole of %.0f s, filled with silence", k.Stream.Index, seen.Gap))
			}
		case k.Kind == vstack.TrackVideo && copied[k.Stream.Index]:
			if k.Cuts = seen.Cuts(); len(k.Cuts) > maxCuts {
				return p, fmt.Errorf("plan: %w: %d cut points, at most %d", vstack.ErrMediaUnfit, len(k.Cuts), maxCuts)
			}
		}
	}
	p.Tracks = tracks
	return p, nil
}
