package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/quicclient/gateway/body"
	"github.com/vstack/vstack/quicclient/gateway/files"
	"github.com/vstack/vstack/quicclient/gateway/playlist"
	"github.com/vstack/vstack/quicclient/gateway/viewer"
)

// Media types of what is served.
const (
	typeHLS  = "application/vnd.apple.mpegurl"
	typeDASH = "application/dash+xml"
)

// shortly is the caching of playlists: a deleted film is gone soon. Segments never
// change, yet are named by their film, so they are kept only for about a viewing.
const (
	shortly = "max-age=10"
	whole   = "max-age=3600, immutable"
)

// filmOf finds the film that a path names.
func (g *Gateway) filmOf(c echo.Context) (*film, error) {
	id, err := vstack.ParseVideoID(c.Param("video"))
	if err != nil {
		return nil, fmt.Errorf("video %q: %w", clip(c.Param("video")), vstack.ErrNotFound)
	}
	private, err := g.mayWatch(c, id)
	if err == nil && private {
		err = inPath(c)
	}
	if err != nil {
		return nil, err
	}
	f, err := g.films.get(c.Request().Context(), id)
	if err == nil && private {
		shown := *f
		shown.private = true
		return &shown, nil
	}
	return f, err
}

// mayWatch tells whether a film is private, and refuses who may not watch it. What is private
// no cache keeps.
func (g *Gateway) mayWatch(c echo.Context, id vstack.VideoID) (private bool, err error) {
	r := c.Request()
	if private, err = g.watching.May(r.Context(), id, watch.Of(r), viewer.Of(r).String()); private && err == nil {
		c.Response().Before(func() { c.Response().Header().Set("Cache-Control", "private, no-store") })
	}
	return private, err
}

// stillMay asks anew during a long answer; a body of one chunk was asked about.
func (g *Gateway) stillMay(c echo.Context, runs []body.Run) func(context.Context) error {
	if len(runs) < 2 || !g.watching.Private(runs[0].Slot.Video) {
		return nil
	}
	token, who := watch.Of(c.Request()), viewer.Of(c.Request()).String()
	return func(ctx context.Context) error {
		_, err := g.watching.May(ctx, runs[0].Slot.Video, token, who)
		return err
	}
}

// errMoved says that a redirection was the answer.
var errMoved = errors.New("answered by a redirection")

// inPath sends who came with a token beside the address of a private film's list of addresses
// to where it is in the path: what the list names is then asked for with it.
func inPath(c echo.Context) error {
	r := c.Request()
	if ending := path.Ext(r.URL.Path); watch.InPath(r) || ending != ".m3u8" && ending != ".mpd" && path.Base(r.URL.Path) != "thumbs.vtt" {
		return nil
	}
	return cmp.Or(c.Redirect(http.StatusFound, watch.Prefix+watch.Of(r)+r.URL.RequestURI()), errMoved)
}

// trackOf finds the film and the track that a path names, whose last element may carry
// an ending.
func (g *Gateway) trackOf(c echo.Context, ending string) (*film, playlist.Track, error) {
	f, err := g.filmOf(c)
	if err != nil {
		return nil, playlist.Track{}, err
	}
	name, ok := strings.CutSuffix(c.Param("track"), ending)
	n, err := strconv.ParseUint(name, 10, 16)
	if t, found := f.Track(uint16(n)); ok && err == nil && found {
		return f, t, nil
	}
	return nil, playlist.Track{}, fmt.Errorf("track %q: %w", clip(c.Param("track")), vstack.ErrNotFound)
}

// text answers with a playlist, or 404 when the film has nothing for it.
func text(c echo.Context, kind, body string) error {
	if body == "" {
		return fmt.Errorf("%s: %w", c.Request().URL.Path, vstack.ErrNotFound)
	}
	c.Response().Header().Set("Cache-Control", shortly)
	return c.Blob(http.StatusOK, kind, []byte(body))
}

func (g *Gateway) getMaster(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	return text(c, typeHLS, f.Master(g.pathways(f)...))
}

func (g *Gateway) getMPD(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	doc, err := f.MPD(viewer.Here(c.Request()), g.pathways(f)...)
	if err != nil {
		return err
	}
	return text(c, typeDASH, string(doc))
}

func (g *Gateway) getMedia(c echo.Context) error {
	_, t, err := g.trackOf(c, "")
	if err != nil {
		return err
	}
	if t.Kind == vstack.TrackImage {
		return fmt.Errorf("playlist of track %d: %w: it is pictures", t.Number, vstack.ErrNotFound)
	}
	return text(c, typeHLS, t.Media())
}

func (g *Gateway) getIFrames(c echo.Context) error {
	_, t, err := g.trackOf(c, "")
	if err != nil {
		return err
	}
	return text(c, typeHLS, t.IFrames())
}

func (g *Gateway) getInit(c echo.Context) error {
	f, t, err := g.trackOf(c, "")
	if err != nil {
		return err
	}
	b, err := g.initOf(c.Request().Context(), f, t)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", whole)
	return c.Blob(http.StatusOK, mediaType(t), b)
}

// getSegment answers {time}.m4s, or .vtt of text: the segment that starts at that tick.
// Pictures are asked for by their number.
func (g *Gateway) getSegment(c echo.Context) error {
	f, t, err := g.trackOf(c, "")
	if err != nil {
		return err
	}
	ending := "m4s"
	switch t.Kind {
	case vstack.TrackText:
		ending = "vtt"
	case vstack.TrackImage:
		ending = "jpg"
	}
	name, ok := strings.CutSuffix(c.Param("segment"), "."+ending)
	if ok && t.Kind == vstack.TrackImage {
		return g.getSheet(c, f, t, name)
	}
	start, err := strconv.ParseInt(name, 10, 64)
	s, found := playlist.At(t.Segments, start)
	if !ok || err != nil || !found {
		return fmt.Errorf("track %d: segment %q: %w", t.Number, clip(c.Param("segment")), vstack.ErrNotFound)
	}
	var runs []body.Run
	for _, p := range s.Parts {
		runs = append(runs, files.Part(f.manifest.Video, t, p))
	}
	h := c.Response().Header()
	h.Set("Cache-Control", whole)
	h.Set("Content-Type", mediaType(t))
	h.Set("Content-Length", strconv.FormatInt(s.Size(), 10))
	return g.stream(c, http.StatusOK, nil, runs)
}

func (g *Gateway) getTrackFile(c echo.Context) error {
	ending := ".mp4"
	if strings.HasSuffix(c.Param("track"), ".vtt") {
		ending = ".vtt"
	}
	f, t, err := g.trackOf(c, ending)
	if err != nil {
		return err
	}
	if text := t.Kind == vstack.TrackText; text != (ending == ".vtt") || t.Kind == vstack.TrackImage {
		return fmt.Errorf("track %q: %w: track %d is %s", clip(c.Param("track")), vstack.ErrNotFound, t.Number, t.Kind)
	} else if text {
		return g.wholeText(c, f, t)
	}
	return g.file(c, f, files.OfTrack(t), mediaType(t))
}

func (g *Gateway) getFilmFile(c echo.Context) error {
	f, err := g.filmOf(c)
	if err != nil {
		return err
	}
	if len(f.joined.Tracks) == 0 {
		return fmt.Errorf("film.mp4 of video %s: %w", f.manifest.Video, vstack.ErrNotFound)
	}
	return g.file(c, f, f.joined, mediaType(f.joined.Tracks[0]))
}

// file answers a virtual file, whole or one range of it.
func (g *Gateway) file(c echo.Context, f *film, l files.Layout, kind string) error {
	head, err := g.headOf(c.Request().Context(), f, l)
	if err != nil {
		return err
	}
	size := int64(len(head)) + l.Size()
	h := c.Response().Header()
	tag := fmt.Sprintf(`"%s-%d"`, f.manifest.Video, size)
	h.Set("Accept-Ranges", "bytes")
	h.Set("ETag", tag)
	h.Set("Cache-Control", whole)
	rng, status, err := parseRange(c.Request(), tag, size)
	if err != nil {
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		return err
	}
	if status == http.StatusPartialContent {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", rng.from, rng.from+rng.length-1, size))
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.FormatInt(rng.length, 10))
	head = head[min(rng.from, int64(len(head))):min(rng.from+rng.length, int64(len(head)))]
	from := max(rng.from-(size-l.Size()), 0)
	return g.stream(c, status, head, l.Runs(f.manifest.Video, from, rng.length-int64(len(head))))
}

// stream writes a body whose headers are set. A body that cannot be finished is reset.
func (g *Gateway) stream(c echo.Context, status int, head []byte, runs []body.Run) error {
	w, r := c.Response(), c.Request()
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return nil
	}
	w.Status = status
	b := g.chunks.To(w, g.cfg.StepTimeout, g.stillMay(c, runs))
	defer b.Release()
	err := b.Send(r.Context(), head, runs)
	if err == nil || !b.Started() {
		if err != nil {
			for _, k := range []string{"Content-Length", "Content-Range", "Content-Type", "ETag", "Accept-Ranges"} {
				w.Header().Del(k)
			}
		}
		return err
	}
	if r.Context().Err() == nil && !errors.Is(err, body.ErrCut) {
		g.metrics.broken.Inc()
		g.cfg.Logger.Warn("body reset", "path", r.URL.Path, "err", err)
	}
	panic(http.ErrAbortHandler) // resets the stream: a length was promised
}

func mediaType(t playlist.Track) string {
	switch t.Kind {
	case vstack.TrackAudio:
		return "audio/mp4"
	case vstack.TrackText:
		return typeVTT
	case vstack.TrackImage:
		return "image/jpeg"
	}
	return "video/mp4"
}

// clip shortens what a stranger sent before it is said again.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}
