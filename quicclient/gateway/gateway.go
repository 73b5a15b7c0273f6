package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/chunkpaxos/sim"
	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/internal/wire/openapi"
	"github.com/vstack/vstack/quicclient/gateway/body"
	"github.com/vstack/vstack/quicclient/gateway/cmcd"
	"github.com/vstack/vstack/quicclient/gateway/doors"
	"github.com/vstack/vstack/quicclient/gateway/figures"
	"github.com/vstack/vstack/quicclient/gateway/holdings"
	"github.com/vstack/vstack/quicclient/gateway/live"
	"github.com/vstack/vstack/quicclient/gateway/sessions"
	"github.com/vstack/vstack/quicclient/gateway/steer"
	"github.com/vstack/vstack/quicclient/gateway/viewer"
	"github.com/vstack/vstack/quicclient/gateway/watching"
)

// Gateway answers players. It listens nowhere by itself: Server does, and so does
// whoever mounts Handler.
type Gateway struct {
	cfg     Config
	metrics *metrics
	films   *filmStore
	chunks  *body.Store
	gate    *gate
	live    *live.Hub
	history *live.History
	// sessions are those of all players, as they tell of themselves.
	sessions *sessions.Store
	doors    *doors.Doors
	// watching tells who may watch a film.
	watching *watching.Doorman
	steer    *steer.Steer // nil: there is no other pathway
	echo     *echo.Echo
}

// New makes a Gateway. It reads nothing until it is asked.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, metrics: m, watching: watching.New(cfg.Catalog, time.Now, cfg.Signer, cfg.Inside), gate: newGate(cfg.MaxRequests, cfg.QueueWait)}
	if g.films, err = newFilmStore(&g.cfg); err != nil {
		return nil, err
	}
	if g.chunks, err = body.New(body.Config{
		From: cfg.Chunks, CacheBytes: cfg.CacheBytes, LoadingBytes: cfg.LoadingBytes, Private: g.watching.Private, Registry: cfg.Registry,
	}); err != nil {
		return nil, err
	}
	if len(cfg.Pathways) > 0 {
		conf := steer.Config{Self: cfg.Name, Others: cfg.Pathways, Client: cfg.PathwayClient, Fit: g.fit}
		if err := conf.Validate(); err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		g.steer = steer.New(conf)
	}
	g.doors = doors.New(cfg.Catalog.Nodes)
	g.sessions = sessions.New(sessions.Config{})
	quality, err := sessions.NewQuality(cfg.Registry, g.sessions)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.sessions.Count(quality)
	g.live = live.New(live.Config{Topics: g.topics()})
	meter := &figures.Meter{Nodes: cfg.Catalog.Nodes, Sessions: g.sessions.Playing}
	g.history = live.NewHistory(live.HistoryConfig{Figures: meter.Sample})
	g.echo = g.routes()
	return g, nil
}

// Handler answers requests; Routes lists them.
func (g *Gateway) Handler() http.Handler { return watch.Carry(g.echo) }

// Stop ends the streams of events, which would keep a server from shutting down.
func (g *Gateway) Stop() { g.live.Close() }

// Close ends every fetch and waits for it. Whoever serves Handler stops first.
func (g *Gateway) Close() error {
	g.live.Close()
	g.history.Close()
	if g.steer != nil {
		g.steer.Close()
	}
	g.chunks.Close()
	g.films.cache.StopAllGoroutines()
	return nil
}

// Routes lists what a gateway serves.
func Routes() []wire.Route {
	read := []*vstack.Sentinel{vstack.ErrNotFound, vstack.ErrUnavailable, vstack.ErrNotReady, vstack.ErrNoLeader, vstack.ErrTimeout}
	get := func(path, summary string, response any, extra ...*vstack.Sentinel) wire.Route {
		return wire.Route{Method: http.MethodGet, Path: path, Summary: summary, Heeds: heedsOf(path), Response: response, Errors: append(extra, read...)}
	}
	list := get("/v1/videos", "Published videos, newest first", wire.List[vstack.Video]{}, vstack.ErrInvalid)
	list.Params = []wire.Param{{Name: "cursor", In: "query", Doc: "next of the page before"}, {Name: "limit", In: "query", Doc: "at most this many, 1 to 1,000"},
		{Name: "q", In: "query", Doc: "words of the title, or the beginning of an id; the answer may have more than limit, up to a page of the catalog, or fewer with a next"}}
	events := get("/v1/events", "Server-sent events: the topics' values, now and at each change", "")
	events.Params = []wire.Param{{Name: "topics", In: "query", Doc: "some of cluster, films, nodes, placement, raft, sessions, with commas"}}
	history := get("/v1/history", "Figures of the cluster over time", live.Series{}, vstack.ErrInvalid)
	history.Params = []wire.Param{{Name: "span", In: "query", Doc: "10m, 2h or 24h"}}
	opened := get("/v1/webtransport", "Where pages read from the stores themselves now", wire.List[doors.Door]{}, vstack.ErrInvalid)
	opened.Params = []wire.Param{{Name: "known", In: "query", Doc: "true: what was heard in the last minutes will do"}}
	file := func(path, summary string) wire.Route {
		r := get(path, summary, []byte(nil), vstack.ErrRangeInvalid)
		r.Params = []wire.Param{{Name: "Range", In: "header", Doc: "one range of bytes"}}
		return r
	}
	posted := []*vstack.Sentinel{vstack.ErrInvalid, vstack.ErrForbidden, vstack.ErrUnavailable}
	return append([]wire.Route{
		list, events, history,
		get("/v1/redundancy", "How all films lie, where they go, and what may fail", wire.Redundancy{}),
		get("/v1/sessions", "Playbacks that go on, and the last ones", sessions.Summary{}),
		get("/v1/sessions/{id}", "One playback with its past", sessions.Session{}),
		{Method: http.MethodPost, Path: "/v1/sessions/{id}", Heeds: wire.HeedsNothing, Summary: "A player tells how it fares", Request: sessions.Report{}, Errors: posted},
		get("/v1/paxos/scenarios", "What the page of the consensus can play", wire.List[sim.Scenario]{}),
		get("/v1/paxos/scenarios/{name}", "A scenario, played by the code of the protocol", sim.Trace{}),
		{Method: http.MethodPost, Path: "/v1/paxos/run", Heeds: wire.HeedsNothing, Summary: "A script of faults, played by the code of the protocol", Request: sim.Script{}, Response: sim.Trace{},
			Errors: posted},
		get("/v1/videos/{video}/holdings", "Where a film lies, drawn small, and what may fail", holdings.Grid{}),
		get("/v1/keys", "The public keys of playback tokens, as a JSON Web Key Set", wire.JWKS{}),
		get("/v1/player/{video}", "What a player needs to start: the video, its manifest and who holds it", PlayerData{}),
		get("/v1/player/{video}/token", "A fresh playback token of a private film, for an administrator at a console", watching.Signed{}, vstack.ErrInvalid),
		opened,
		get("/play/{video}/master.m3u8", "HLS multivariant playlist", ""),
		get("/play/{video}/manifest.mpd", "DASH description", ""),
		file("/play/{video}/film.mp4", "The best picture and the first sound as one MP4 file"),
		get("/play/{video}/steering", "The order of gateways for content steering of HLS and DASH", ""),
		get("/play/{video}/poster.jpg", "A picture of the film", []byte(nil)),
		get("/play/{video}/thumbs.vtt", "Small pictures of the film with their times, as WebVTT", ""),
		get("/play/{video}/text/{name}", "Subtitles as WebVTT, {name} being LANGUAGE.vtt or NUMBER.vtt", ""),
		file("/play/{video}/{track}", "One track as an MP4 file, {track} being NUMBER.mp4; subtitles as NUMBER.vtt"),
		get("/play/{video}/{track}/index.m3u8", "HLS media playlist of a track", ""),
		get("/play/{video}/{track}/iframes.m3u8", "HLS playlist of a track's keyframes", ""),
		get("/play/{video}/{track}/init.mp4", "A track's init chunk", []byte(nil)),
		get("/play/{video}/{track}/{segment}", "The segment that starts at a tick, {segment} being TICK.m4s; of subtitles TICK.vtt; of pictures NUMBER.jpg", []byte(nil)),
	}, ops.Routes()...)
}

// heedsOf is how a route that reads keeps private films: those of one film want a token for it.
func heedsOf(path string) wire.Heed {
	switch {
	case strings.Contains(path, "{video}"):
		return wire.HeedsToken
	case slices.Contains([]string{"/v1/videos", "/v1/events", "/v1/redundancy", "/v1/sessions", "/v1/sessions/{id}"}, path):
		return wire.HeedsListing
	case slices.Contains([]string{"/v1/history", "/v1/keys", "/v1/webtransport", "/v1/paxos/scenarios", "/v1/paxos/scenarios/{name}"}, path):
		return wire.HeedsNothing
	}
	return 0 // the test of routes asks
}

func (g *Gateway) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if !c.Response().Committed {
			wire.WriteError(c.Response(), routeError(err, c.Request()))
		}
	}
	e.Use(g.admit)
	for path, handler := range map[string]echo.HandlerFunc{
		"/v1/videos":                       g.getVideos,
		"/v1/events":                       g.getEvents,
		"/v1/player/:video":                g.getPlayer,
		"/v1/player/:video/token":          g.getToken,
		"/v1/webtransport":                 g.getDoors,
		"/v1/history":                      g.getHistory,
		"/v1/keys":                         g.getKeys,
		"/v1/redundancy":                   g.getRedundancy,
		"/v1/paxos/scenarios":              getScenarios,
		"/v1/paxos/scenarios/:name":        getScenario,
		"/v1/sessions":                     g.getSessions,
		"/v1/sessions/:id":                 g.getSession,
		"/v1/videos/:video/holdings":       g.getHoldings,
		"/play/:video/master.m3u8":         g.getMaster,
		"/play/:video/manifest.mpd":        g.getMPD,
		"/play/:video/film.mp4":            g.getFilmFile,
		"/play/:video/steering":            g.getSteering,
		"/play/:video/poster.jpg":          g.getPoster,
		"/play/:video/thumbs.vtt":          g.getThumbs,
		"/play/:video/text/:name":          g.getText,
		"/play/:video/:track":              g.getTrackFile,
		"/play/:video/:track/index.m3u8":   g.getMedia,
		"/play/:video/:track/iframes.m3u8": g.getIFrames,
		"/play/:video/:track/init.mp4":     g.getInit,
		"/play/:video/:track/:segment":     g.getSegment,
	} {
		e.GET(path, handler)
		e.HEAD(path, handler)
	}
	e.OPTIONS("/play/*", preflight)
	e.POST("/v1/sessions/:id", g.postSession)
	e.POST("/v1/paxos/run", postRun)
	g.addPages(e)
	shared := echo.WrapHandler(ops.Handler(ops.Config{
		Version: g.cfg.Version, Registry: g.cfg.Registry, Ready: g.ready,
		OpenAPI: openapi.Document("V-Stack gateway", g.cfg.Version.Version, Routes()),
	}))
	for _, r := range ops.Routes() {
		e.Add(r.Method, r.Path, shared)
	}
	return e
}

// admit gives each request for a film its turn, and lets pages of other origins read:
// films are public here.
func (g *Gateway) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if c.Path() == "/livez" || c.Path() == "/readyz" {
			return next(c) // a supervisor's question waits for nobody
		}
		if err := wire.SameOrigin(c.Request()); err != nil {
			return err // films may be read from any page; what is told is told by ours
		}
		who := viewer.Of(c.Request())
		if err := g.gate.enter(c.Request().Context(), who); err != nil {
			g.metrics.refused.Inc()
			return err
		}
		g.metrics.busy.Inc()
		defer func() {
			g.metrics.busy.Dec()
			g.gate.leave(who)
		}()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, ETag")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		said, ok := cmcd.Of(c.Request())
		if !ok || !strings.HasPrefix(c.Path(), "/play/") {
			return next(c)
		}
		g.metrics.player(said)
		err := next(c)
		if err == nil {
			g.hear(c, said)
		}
		return err
	}
}

// preflight lets pages of other origins send what players send beside a request.
func preflight(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Access-Control-Allow-Methods", "GET, HEAD")
	h.Set("Access-Control-Allow-Headers", strings.Join(append([]string{"Range", "Priority"}, cmcd.Headers()...), ", "))
	h.Set("Access-Control-Max-Age", "86400")
	return c.NoContent(http.StatusNoContent)
}

// routeError gives echo's own errors a sentinel.
func routeError(err error, r *http.Request) error {
	var h *echo.HTTPError
	if !errors.As(err, &h) {
		return err
	}
	if h.Code == http.StatusNotFound {
		return fmt.Errorf("%s %s: %w", r.Method, clip(r.URL.Path), vstack.ErrNotFound)
	}
	return fmt.Errorf("%s %s: %w: %v", r.Method, clip(r.URL.Path), vstack.ErrInvalid, h.Message)
}

func (g *Gateway) ready(ctx context.Context) []ops.Check {
	m, err := g.cfg.Catalog.RefreshPlacement(ctx)
	detail := ""
	if err == nil {
		detail = fmt.Sprintf("%d stores", len(m.Stores))
	}
	return []ops.Check{{Name: "catalog", Err: g.cfg.Catalog.Ready(ctx)}, {Name: "placement", Err: err, Detail: detail}}
}
