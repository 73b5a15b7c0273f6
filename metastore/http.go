package metastore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const maxRequestID = 64

// handler serves routes() and the endpoints of internal/ops.
func (s *Server) handler() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.writeError
	for _, r := range routes() {
		e.Add(r.Method, echoPath(r.Path), s.guard(r))
	}
	all := append(Routes(), ops.Routes()...)
	common := ops.Handler(ops.Config{
		Version: s.cfg.Version, Registry: s.cfg.Registry, Ready: s.ready,
		OpenAPI: wire.OpenAPI("V-Stack metastore", s.cfg.Version.Version, all),
	})
	for _, r := range ops.Routes() {
		e.Add(r.Method, echoPath(r.Path), echo.WrapHandler(common))
	}
	return e
}

// echoPath turns {id} into :id.
func echoPath(p string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(p)
}

// guard does what every route wants before its handler.
func (s *Server) guard(r route) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				s.cfg.Logger.Error("handler panicked", "route", r.Path, "panic", p, "stack", string(debug.Stack()))
				err = fmt.Errorf("%s %s: %w", r.Method, r.Path, vstack.ErrInternal)
			}
		}()
		s.sign(c, s.catalog.View().Applied())
		if err := s.checkStanding(r); err != nil {
			return err
		}
		req := c.Request()
		if r.Mutual {
			if _, err := identity.RequirePeer(req, identity.RoleHost, identity.RoleAdmin); err != nil {
				return err
			}
		}
		if r.admit != nil {
			if err := r.admit(s, c); err != nil {
				return err
			}
		}
		if err := checkRequestID(req.Header.Get(wire.HeaderRequestID)); err != nil {
			return err
		}
		req.Body = http.MaxBytesReader(c.Response(), req.Body, r.body)
		if r.place != anywhere {
			local, err := s.isLocal(c, r.place)
			if err != nil {
				return err
			}
			if !local {
				return s.peers.Forward(c.Response(), req)
			}
		}
		return r.handle(s, c)
	}
}

// sign says which member answers, and from what state.
func (s *Server) sign(c echo.Context, index uint64) {
	h := c.Response().Header()
	h.Set(wire.HeaderNode, s.cfg.ID)
	h.Set(wire.HeaderTerm, strconv.FormatUint(s.node.Term(), 10))
	h.Set(wire.HeaderIndex, strconv.FormatUint(index, 10))
	if members := s.members.Version(); members != "" {
		h.Set(wire.HeaderMembers, members)
	}
}

func checkRequestID(id string) error {
	if len(id) > maxRequestID {
		return fmt.Errorf("%s: %w: %d characters, at most %d", wire.HeaderRequestID, vstack.ErrInvalid, len(id), maxRequestID)
	}
	for _, r := range id {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%s: %w: character %U is not printable ASCII", wire.HeaderRequestID, vstack.ErrInvalid, r)
		}
	}
	return nil
}

// writeError is the only place that answers with an error.
func (s *Server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return // the answer is under way; the client sees it end short
	}
	var he *echo.HTTPError
	if errors.As(err, &he) && vstack.SentinelOf(err) == vstack.ErrInternal {
		what := c.Request().Method + " " + c.Request().URL.Path
		switch he.Code {
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			err = fmt.Errorf("%.200s: no such route: %w", what, vstack.ErrNotFound)
		default:
			err = fmt.Errorf("%.200s: %w: %v", what, vstack.ErrInvalid, he.Message)
		}
	}
	if vstack.SentinelOf(err) == vstack.ErrInternal {
		s.cfg.Logger.Error("request", "method", c.Request().Method, "path", c.Request().URL.Path, "err", err)
	}
	wire.WriteError(c.Response(), err)
}

// decode reads a JSON body of the route's limit. Unknown fields are refused, because a
// misspelt one would silently do nothing, unless the sender may be a newer version.
func decode(c echo.Context, v any, lenient bool) error {
	d := json.NewDecoder(c.Request().Body)
	if !lenient {
		d.DisallowUnknownFields()
	}
	err := d.Decode(v)
	if err == nil {
		var extra json.RawMessage
		if err = d.Decode(&extra); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("data after the value")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return fmt.Errorf("request body: %w: more than %d bytes", vstack.ErrTooLarge, large.Limit)
	}
	return fmt.Errorf("request body: %w: %v", vstack.ErrInvalid, err)
}

// answer sends JSON.
func answer(c echo.Context, v any) error { return answerWith(c, http.StatusOK, v) }

func answerWith(c echo.Context, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if c.Response().Header().Get(echo.HeaderCacheControl) == "" {
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	}
	return c.Blob(status, echo.MIMEApplicationJSON, b)
}

// notModified answers 304 if the client already has the tag, and says so.
func notModified(c echo.Context, tag string) (bool, error) {
	h := c.Response().Header()
	h.Set("ETag", tag)
	h.Set(echo.HeaderCacheControl, "no-cache") // keep, and ask each time
	for _, have := range strings.Split(c.Request().Header.Get("If-None-Match"), ",") {
		if have = strings.TrimPrefix(strings.TrimSpace(have), "W/"); have == tag || have == "*" {
			return true, c.NoContent(http.StatusNotModified)
		}
	}
	return false, nil
}

// queryUint reads an optional number.
func queryUint(c echo.Context, name string) (uint64, error) {
	v := c.QueryParam(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parameter %s=%.40q: %w: want a number", name, v, vstack.ErrInvalid)
	}
	return n, nil
}

// page reads cursor and limit.
func page(c echo.Context) (before uint64, limit int, err error) {
	if before, err = queryUint(c, "cursor"); err != nil {
		return 0, 0, err
	}
	n, err := queryUint(c, "limit")
	if err != nil || n > 1000 {
		return 0, 0, fmt.Errorf("parameter limit=%.40q: %w: want 1 to 1,000", c.QueryParam("limit"), vstack.ErrInvalid)
	}
	orDefault(&n, 100)
	return before, int(n), nil
}

func cursor(next uint64) string {
	if next == 0 {
		return ""
	}
	return strconv.FormatUint(next, 10)
}

func videoID(c echo.Context) (vstack.VideoID, error)   { return vstack.ParseVideoID(c.Param("id")) }
func uploadID(c echo.Context) (vstack.UploadID, error) { return vstack.ParseUploadID(c.Param("id")) }

// quietLog takes the lines that net/http writes about broken clients.
func quietLog(l *slog.Logger) *log.Logger {
	return slog.NewLogLogger(l.Handler(), slog.LevelDebug)
}
