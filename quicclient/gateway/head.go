package gateway

import (
	"context"
	"fmt"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/files"
	"github.com/vstack/vstack/quicclient/gateway/mp4"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
)

// headOf reads what stands before a virtual file's units.
func (g *Gateway) headOf(ctx context.Context, f *film, l files.Layout) ([]byte, error) {
	var inits [][]byte
	for _, t := range l.Tracks {
		b, err := g.initOf(ctx, f, t)
		if err != nil {
			return nil, err
		}
		inits = append(inits, b)
	}
	return l.Head(inits, f.Duration)
}

// initOf reads a track's init chunk.
func (g *Gateway) initOf(ctx context.Context, f *film, t playlist.Track) ([]byte, error) {
	if t.Init.ID.IsZero() {
		return nil, fmt.Errorf("track %d: init chunk: %w", t.Number, vstack.ErrNotFound)
	}
	b, err := g.chunks.Get(ctx, vstack.Slot{Video: f.manifest.Video, Track: t.Number, Seq: t.Init.Seq}, t.Init)
	if err != nil || !strings.HasPrefix(t.Codec, "hev1.") {
		return b, err
	}
	return mp4.HVC1(b) // playlists call it so
}
