package uploader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	maxWait   = 60 * time.Second       // of ?wait=
	eventGap  = 200 * time.Millisecond // between two events of a stream
	eventBeat = 15 * time.Second       // a comment keeps proxies awake
)

// Routes lists what an uploader serves. The form of POST /upload is multipart/form-data:
// title, renditions, class, keep_original and resume, and the file, video, in any order.
func Routes() []wire.Route {
	upload := wire.Route{
		Method: http.MethodPost, Path: "/v1/upload", Request: []byte(nil), Response: wire.Accepted{},
		Summary: "Upload a video: multipart/form-data with the fields title, renditions, class, keep_original, resume and the file video, in any order",
		Errors: []*vstack.Sentinel{
			vstack.ErrFormInvalid, vstack.ErrTruncated, vstack.ErrTooLarge, vstack.ErrDiskFull, vstack.ErrTooManyUploads,
			vstack.ErrNotMedia, vstack.ErrNoStreams, vstack.ErrMediaUnfit, vstack.ErrNotReady, vstack.ErrNoLeader,
			vstack.ErrNotFound, vstack.ErrUploadNotLive, vstack.ErrInvalid, vstack.ErrUnauthenticated, vstack.ErrTimeout,
		},
	}
	short := upload
	short.Path = "/upload"
	id := wire.Param{Name: "id", In: "path", Doc: "the upload's id", Required: true}
	return append([]wire.Route{
		short, upload,
		{Method: http.MethodGet, Path: "/v1/jobs", Summary: "Jobs of this uploader, newest first", Response: wire.List[wire.Job]{}},
		{Method: http.MethodGet, Path: "/v1/jobs/{id}", Summary: "One job; with Accept: text/event-stream its progress as server-sent events", Response: wire.Job{},
			Params: []wire.Param{id, {Name: "wait", In: "query", Doc: "answer when the job has ended, at the latest after this many seconds (at most 60)"}},
			Errors: []*vstack.Sentinel{vstack.ErrNotFound, vstack.ErrInvalid}},
		{Method: http.MethodDelete, Path: "/v1/jobs/{id}", Summary: "Cancel a job and abort its upload", Response: wire.Job{},
			Params: []wire.Param{id}, Errors: []*vstack.Sentinel{vstack.ErrNotFound, vstack.ErrInvalid, vstack.ErrUnauthenticated}},
	}, ops.Routes()...)
}

// routes binds the handlers.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if c.Response().Committed {
			return // half an answer is out; the connection's end says the rest
		}
		wire.WriteError(c.Response(), routeError(err, c.Request()))
	}
	e.POST("/upload", s.postUpload)
	e.POST("/v1/upload", s.postUpload)
	e.GET("/v1/jobs", s.getJobs)
	e.GET("/v1/jobs/:id", s.getJob)
	e.DELETE("/v1/jobs/:id", s.deleteJob)
	shared := echo.WrapHandler(ops.Handler(ops.Config{
		Version: s.cfg.Version, Registry: s.cfg.Registry, Ready: s.ready,
		OpenAPI: wire.OpenAPI("V-Stack uploader", s.cfg.Version.Version, Routes()),
	}))
	for _, r := range ops.Routes() {
		e.Add(r.Method, r.Path, shared)
	}
	return e
}

// routeError gives echo's own errors a sentinel.
func routeError(err error, r *http.Request) error {
	var h *echo.HTTPError
	if !errors.As(err, &h) {
		return err
	}
	if h.Code == http.StatusNotFound {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, vstack.ErrNotFound)
	}
	return fmt.Errorf("%s %s: %w: %v", r.Method, r.URL.Path, vstack.ErrInvalid, h.Message)
}

// authorize wants a client certificate for what changes something, if so configured.
func (s *Server) authorize(r *http.Request) error {
	if s.cfg.RequireCertificate && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, vstack.ErrUnauthenticated)
	}
	return nil
}

func (s *Server) postUpload(c echo.Context) error {
	if err := s.authorize(c.Request()); err != nil {
		return err
	}
	acc, err := s.receive(c.Response(), c.Request())
	if err != nil {
		s.metrics.uploads.WithLabelValues(string(vstack.SentinelOf(err).Code())).Inc()
		s.log.Info("upload refused", "err", err, "peer", c.Request().RemoteAddr)
		return err
	}
	s.metrics.uploads.WithLabelValues("ACCEPTED").Inc()
	c.Response().Header().Set("Location", acc.Job)
	return c.JSON(http.StatusAccepted, acc)
}

func (s *Server) getJobs(c echo.Context) error {
	return c.JSON(http.StatusOK, wire.List[wire.Job]{Items: s.list()})
}

// lookup finds the job that a path names.
func (s *Server) lookup(c echo.Context) (*job, wire.Job, error) {
	id, err := vstack.ParseUploadID(c.Param("id"))
	if err != nil {
		return nil, wire.Job{}, err
	}
	j, ended, ok := s.find(id)
	if !ok {
		return nil, wire.Job{}, fmt.Errorf("job %s: %w", id, vstack.ErrNotFound)
	}
	return j, ended, nil
}

func (s *Server) getJob(c echo.Context) error {
	j, ended, err := s.lookup(c)
	if err != nil {
		return err
	}
	if strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/event-stream") {
		return s.streamJob(c, j, ended)
	}
	wait := time.Duration(0)
	if q := c.QueryParam("wait"); q != "" {
		if wait, err = parseWait(q); err != nil {
			return err
		}
	}
	if j == nil {
		return c.JSON(http.StatusOK, ended)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), wait)
	defer cancel()
	return c.JSON(http.StatusOK, s.await(ctx, j, wire.JobState.Done))
}

// await returns the job as soon as its state is enough, or as it is when ctx ends or
// the server stops.
func (s *Server) await(ctx context.Context, j *job, enough func(wire.JobState) bool) wire.Job {
	for {
		snap, changed := j.snapshot()
		if enough(snap.State) {
			return snap
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return snap
		case <-s.ctx.Done():
			return snap
		}
	}
}

// parseWait reads seconds ("30") or a duration ("30s").
func parseWait(q string) (time.Duration, error) {
	d, err := time.ParseDuration(q)
	if err != nil {
		d, err = time.ParseDuration(q + "s")
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("wait %q: %w: want seconds", short(q), vstack.ErrInvalid)
	}
	return min(d, maxWait), nil
}

// streamJob sends the job at each change until it has ended.
func (s *Server) streamJob(c echo.Context, j *job, ended wire.Job) error {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("Cache-Control", "no-store")
	c.Response().WriteHeader(http.StatusOK)
	send := func(snap wire.Job) error {
		b, err := json.Marshal(snap)
		if err == nil {
			_, err = fmt.Fprintf(c.Response(), "event: job\ndata: %s\n\n", b)
		}
		c.Response().Flush()
		return err
	}
	if j == nil {
		return send(ended)
	}
	ctx := c.Request().Context()
	for {
		snap, changed := j.snapshot()
		if err := send(snap); err != nil || snap.State.Done() {
			return err
		}
		if !sleep(ctx, eventGap) {
			return nil
		}
		beat := time.NewTimer(eventBeat)
		select {
		case <-changed:
		case <-beat.C:
		case <-s.ctx.Done():
			beat.Stop()
			return nil
		case <-ctx.Done():
			beat.Stop()
			return nil
		}
		beat.Stop()
	}
}

func (s *Server) deleteJob(c echo.Context) error {
	if err := s.authorize(c.Request()); err != nil {
		return err
	}
	j, ended, err := s.lookup(c)
	if err != nil {
		return err
	}
	if j == nil {
		return c.JSON(http.StatusOK, ended)
	}
	j.cancel(errCanceledByClient)
	ctx, cancel := context.WithTimeout(c.Request().Context(), maxWait)
	defer cancel()
	return c.JSON(http.StatusOK, s.await(ctx, j, wire.JobState.Done))
}

// ready says whether an upload would be taken now.
func (s *Server) ready(ctx context.Context) []ops.Check {
	free, err := s.spool.free()
	if err == nil && free <= 0 {
		err = vstack.ErrDiskFull
	}
	return []ops.Check{
		{Name: "catalog", Err: s.cfg.Catalog.Ready(ctx)},
		{Name: "spool", Err: err, Detail: fmt.Sprintf("%d bytes free", free)},
		{Name: "ffmpeg", Err: s.tools.ready(ctx)},
	}
}
