package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/files"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
)

// film is a video made ready to be served.
type film struct {
	manifest *vstack.Manifest
	*playlist.Film
	joined files.Layout // of film.mp4
	// private is set on the copy of a film that a viewer with a token is shown.
	private bool
}

// filmStore prepares films and remembers them for a while.
type filmStore struct {
	catalog Catalog
	chunks  Chunks
	cache   *otter.Cache[vstack.VideoID, *film]
}

func newFilmStore(cfg *Config) (*filmStore, error) {
	cache, err := otter.New(&otter.Options[vstack.VideoID, *film]{
		MaximumWeight: uint64(cfg.FilmChunks),
		Weigher: func(_ vstack.VideoID, f *film) uint32 {
			n := uint32(1)
			for _, t := range f.manifest.Tracks {
				n += uint32(len(t.Chunks))
				for _, c := range t.Chunks {
					n += uint32(len(c.Fragments)) // each is a unit of film.mp4
				}
			}
			return n
		},
		ExpiryCalculator: otter.ExpiryWriting[vstack.VideoID, *film](cfg.FilmAge),
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: make cache of films: %w", err)
	}
	return &filmStore{catalog: cfg.Catalog, chunks: cfg.Chunks, cache: cache}, nil
}

// get returns a film; many who ask at once wait for one answer of the catalog.
func (s *filmStore) get(ctx context.Context, id vstack.VideoID) (*film, error) {
	f, err := s.cache.Get(ctx, id, otter.LoaderFunc[vstack.VideoID, *film](s.load))
	if err != nil {
		return nil, fmt.Errorf("video %s: %w", id, err)
	}
	return f, nil
}

func (s *filmStore) load(ctx context.Context, id vstack.VideoID) (*film, error) {
	video := s.video(ctx, id)
	m, err := s.catalog.Manifest(ctx, id)
	if err != nil {
		return nil, err
	}
	select {
	case v, said := <-video:
		if said {
			s.chunks.Hint(v, m)
		}
	case <-time.After(hintWait): // whoever reads finds out
	}
	f := &film{manifest: m, Film: playlist.NewFilm(m)}
	f.joined, err = files.Joined(f.Film)
	return f, err
}

// hintWait is how much longer than for the manifest a film waits to know its class.
const hintWait = 200 * time.Millisecond

// video asks for the catalog's entry, which says how the film lies; nothing comes where it
// cannot be had. Any member has manifests, and the leader alone says this.
func (s *filmStore) video(ctx context.Context, id vstack.VideoID) <-chan vstack.Video {
	out := make(chan vstack.Video, 1)
	go func() {
		defer close(out)
		ctx, cancel := context.WithTimeout(ctx, 10*hintWait)
		defer cancel()
		if v, err := s.catalog.Video(ctx, id); err == nil {
			out <- v
		}
	}()
	return out
}
