package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/body"
	"github.com/vstack/vstack/quicclient/gateway/files"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
)

// What stands beside picture and sound: subtitles, the poster, tiles.

const typeVTT = "text/vtt; charset=utf-8"

// getPoster answers poster.jpg.
func (g *Gateway) getPoster(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	if f.Poster == nil {
		return fmt.Errorf("poster of video %s: %w", f.manifest.Video, vstack.ErrNotFound)
	}
	return g.chunk(c, f, *f.Poster, 0)
}

// getThumbs answers thumbs.vtt, the list of tiles.
func (g *Gateway) getThumbs(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	return text(c, typeVTT, f.Thumbs())
}

// getText answers text/{language}.vtt: the whole of one track of subtitles.
func (g *Gateway) getText(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	name, ok := strings.CutSuffix(c.Param("name"), ".vtt")
	t, found := f.TextOf(name)
	if !ok || !found {
		return fmt.Errorf("subtitles %q: %w", clip(c.Param("name")), vstack.ErrNotFound)
	}
	return g.wholeText(c, f, t)
}

// wholeText puts the documents of a track together. An uploader takes no more than some
// megabytes of them, and what is larger is not held for a viewer.
func (g *Gateway) wholeText(c echo.Context, f *film, t playlist.Track) error {
	var docs [][]byte
	size := 0
	for _, ref := range t.Chunks {
		if size += int(ref.Size); size > vstack.MaxChunkSize {
			return fmt.Errorf("subtitles %d of video %s: %w: more than %d bytes", t.Number, f.manifest.Video, vstack.ErrTooLarge, vstack.MaxChunkSize)
		}
		b, err := g.chunks.Get(c.Request().Context(), vstack.Slot{Video: f.manifest.Video, Track: t.Number, Seq: ref.Seq}, ref)
		if err != nil {
			return err
		}
		docs = append(docs, b)
	}
	c.Response().Header().Set("Cache-Control", whole)
	return c.Blob(http.StatusOK, typeVTT, playlist.JoinText(docs))
}

// getSheet answers {n}.jpg: the nth picture of a track.
func (g *Gateway) getSheet(c echo.Context, f *film, t playlist.Track, name string) error {
	n, err := strconv.Atoi(name)
	if err != nil || n < 1 || n > len(t.Chunks) {
		return fmt.Errorf("track %d: picture %q: %w", t.Number, clip(name), vstack.ErrNotFound)
	}
	return g.chunk(c, f, t, n-1)
}

// chunk answers one whole chunk.
func (g *Gateway) chunk(c echo.Context, f *film, t playlist.Track, i int) error {
	h := c.Response().Header()
	h.Set("Cache-Control", whole)
	h.Set("Content-Type", mediaType(t))
	h.Set("Content-Length", strconv.Itoa(int(t.Chunks[i].Size)))
	return g.stream(c, http.StatusOK, nil, []body.Run{files.Part(f.manifest.Video, t, playlist.Part{Chunk: i, Length: int(t.Chunks[i].Size)})})
}
