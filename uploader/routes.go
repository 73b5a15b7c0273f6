package uploader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/internal/wire/openapi"
	"github.com/vstack/vstack/uploader/intake"
	"github.com/vstack/vstack/uploader/order"
	"github.com/vstack/vstack/uploader/resumable"
)

const (
	maxWait   = 60 * time.Second       // of ?wait=
	eventGap  = 200 * time.Millisecond // between two events of a stream
	eventBeat = 15 * time.Second       // a comment keeps proxies awake
)

// routes binds the handlers.
func (s *Server) routes() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if c.Response().Committed {
			return // half an answer is out; the connection's end says the rest
		}
		wire.WriteProblem(c.Response(), wire.Outward(routeError(err, c.Request())))
	}
	e.POST("/upload", s.postUpload)
	e.POST("/v1/upload", s.postUpload)
	e.POST("/v1/subtitles", s.postSubtitles)
	e.GET("/v1/jobs", s.getJobs)
	e.GET("/v1/jobs/:id", s.getJob)
	e.DELETE("/v1/jobs/:id", s.deleteJob)
	for _, r := range resumable.Routes() {
		e.Add(r.Method, strings.NewReplacer("{", ":", "}", "").Replace(r.Path), echo.WrapHandler(s.tus))
	}
	shared := echo.WrapHandler(ops.Handler(ops.Config{
		Version: s.cfg.Version, Registry: s.cfg.Registry, Ready: s.ready,
		OpenAPI: openapi.Document("V-Stack uploader", s.cfg.Version.Version, Routes()),
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
	what := order.Clean(r.Method) + " " + order.Clean(r.URL.Path)
	switch h.Code {
	case http.StatusNotFound:
		return fmt.Errorf("%s: %w", what, vstack.ErrNotFound)
	case http.StatusMethodNotAllowed: // echo has set Allow
		return fmt.Errorf("%s: %w", what, vstack.ErrMethod)
	}
	return fmt.Errorf("%s: %w: %v", what, vstack.ErrInvalid, h.Message)
}

func (s *Server) postUpload(c echo.Context) error {
	if err := s.gate.Create(c.Request(), c.Request().ContentLength); err != nil {
		return err
	}
	g := intake.New(c.Response(), c.Request().Body, s.cfg.MaxUpload+order.MaxOverhead, s.cfg.MinRate, s.cfg.RateWindow)
	defer g.Over()
	acc, err := s.receive(c.Request(), g)
	s.counted(c.Request().RemoteAddr, acc, err)
	switch {
	case err != nil:
		intake.Refuse(s.ctx, c.Response(), c.Request(), g, func() { c.Error(err) })
		return nil
	case acc.Duplicate:
		return c.JSON(http.StatusOK, acc)
	}
	c.Response().Header().Set("Location", acc.Job)
	return c.JSON(http.StatusAccepted, acc)
}

// counted keeps what became of an upload in the metrics and in the log.
func (s *Server) counted(peer string, acc wire.Accepted, err error) {
	code := "ACCEPTED"
	switch {
	case err != nil:
		code = string(vstack.SentinelOf(err).Code())
		s.log.Info("upload refused", "err", err, "peer", peer)
	case acc.Duplicate:
		code = "DUPLICATE"
	}
	s.metrics.uploads.WithLabelValues(code).Inc()
}

func (s *Server) getJobs(c echo.Context) error {
	jobs := s.list()
	all, err := s.gate.Sees(c.Request())
	if err != nil {
		return err
	}
	if all {
		arriving, err := s.arriving()
		if err != nil {
			return err
		}
		jobs = append(jobs, arriving...)
		slices.SortStableFunc(jobs, func(a, b wire.Job) int { return b.Started.Compare(a.Started) })
	} else {
		if jobs, err = s.strangers.Jobs(c.Request().Context(), s.cfg.Catalog, jobs); err != nil {
			return err
		}
	}
	return c.JSON(http.StatusOK, wire.List[wire.Job]{Items: jobs})
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
	wait := time.Duration(0)
	if q := c.QueryParam("wait"); q != "" {
		var err error
		if wait, err = parseWait(q); err != nil {
			return err
		}
	}
	j, ended, err := s.lookup(c)
	if err != nil {
		return err
	}
	if strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/event-stream") {
		return s.streamJob(c, j, ended)
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
		snap, changed := j.Snapshot()
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
		return 0, fmt.Errorf("wait %q: %w: want seconds", order.Clean(q), vstack.ErrInvalid)
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
		snap, changed := j.Snapshot()
		if err := send(snap); err != nil || snap.State.Done() {
			return err
		}
		if !sleep.For(ctx, eventGap) {
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
	j, ended, err := s.lookup(c)
	if err != nil {
		return err
	}
	var of vstack.TicketID
	if j != nil {
		of = j.Record().Options.Ticket
	}
	if err := s.gate.Cancel(c.Request(), of); err != nil {
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
	free, err := s.spool.Free()
	if err == nil && free <= 0 {
		err = vstack.ErrDiskFull
	}
	return []ops.Check{
		{Name: "catalog", Err: s.cfg.Catalog.Ready(ctx)},
		{Name: "spool", Err: err, Detail: fmt.Sprintf("%d bytes free", free)},
		{Name: "ffmpeg", Err: s.tools.Ready(ctx)},
	}
}
