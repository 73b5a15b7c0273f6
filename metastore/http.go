package metastore

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/internal/wire/openapi"
	"github.com/vstack/vstack/metastore/answers"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/callers"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/forward"
	"github.com/vstack/vstack/metastore/watching"
)

// handler serves routes() and the endpoints of internal/ops.
func (s *Server) handler() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = answers.Errors(s.cfg.Logger)
	for _, r := range routes() {
		e.Add(r.Method, echoPath(r.Path), s.guard(r))
	}
	all := append(Routes(), ops.Routes()...)
	common := ops.Handler(ops.Config{
		Version: s.cfg.Version, Registry: s.cfg.Registry, Ready: func(ctx context.Context) []ops.Check { return s.status().Ready(ctx) },
		OpenAPI: openapi.Document("V-Stack metastore", s.cfg.Version.Version, all),
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
		if err := wire.SameOrigin(c.Request()); err != nil {
			return err
		}
		by, err := s.caller(c.Request(), r)
		if err != nil {
			forward.Disbelieve(c.Response().Header())
			return err
		}
		c.Set(callerKey, by)
		_, limit, err := asked.Page(c.QueryParams())
		if err != nil {
			limit = 0 // whoever reads it refuses it
		}
		done, err := s.bounds.Admit(c.Request(), by, r.Path, limit, func() int { return s.chunks(c) })
		if err != nil {
			return err
		}
		defer done()
		c.Response().Writer = admission.Paced(c.Response().Writer)
		s.sign(c, s.catalog.View().Applied())
		if err := s.checkStanding(r); err != nil {
			return err
		}
		req := c.Request()
		if r.Roles != 0 {
			if err := by.Require(r.Roles); err != nil {
				return fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
			}
		}
		if err := asked.RequestID(req.Header.Get(wire.HeaderRequestID)); err != nil {
			return err
		}
		req.Body = http.MaxBytesReader(c.Response(), req.Body, r.body)
		if r.Heeds == wire.HeedsCertificate {
			if err := watching.Read(s.catalog.View(), by); err != nil {
				return fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
			}
		}
		if r.place != anywhere {
			local, err := s.isLocal(c, r.place)
			if err != nil {
				return err
			}
			if !local {
				return s.peers.Forward(c.Response(), req, by)
			}
		}
		return r.handle(s, c)
	}
}

// callerKey is where the guard leaves a request's caller for the handler.
const callerKey = "caller"

// caller is who asks. What members ask of each other is asked by the connection's other end
// itself, which must be one.
func (s *Server) caller(req *http.Request, r route) (forward.Caller, error) {
	member := func(id string) bool { _, ok := s.node.Member(id); return ok }
	if !r.members {
		return s.callers.Of(req, callers.Asked{Member: member, Keys: s.catalog.View().APIKeys(), Silent: func() time.Duration { return s.node.Status().LastContact }, Now: time.Now()})
	}
	p, ok := identity.PeerOf(req.TLS)
	if ok && p.Roles.Has(r.Roles) && !member(p.ID) {
		return forward.Caller{}, fmt.Errorf("%s %s: %w: %q is no member", r.Method, r.Path, vstack.ErrForbidden, p.ID)
	}
	return forward.Caller{Peer: p, Known: ok, Key: admission.KeyOf(req)}, nil
}

func callerOf(c echo.Context) forward.Caller {
	by, _ := c.Get(callerKey).(forward.Caller) // the guard has set it
	return by
}

// chunks is how many the video has that the path names; one that is not there has none.
func (s *Server) chunks(c echo.Context) int {
	id, _ := videoID(c) // zero for none
	v, _ := s.catalog.View().Video(id)
	return v.Chunks
}

// sign says which member answers, and from what state.
func (s *Server) sign(c echo.Context, index uint64) {
	h := c.Response().Header()
	h.Set(wire.HeaderNode, s.cfg.ID)
	h.Set(wire.HeaderTerm, strconv.FormatUint(s.node.Term(), 10))
	h.Set(wire.HeaderIndex, strconv.FormatUint(index, 10))
	h.Set(wire.HeaderLevel, strconv.FormatUint(uint64(s.catalog.View().Level()), 10))
	if members := s.members.Version(); members != "" {
		h.Set(wire.HeaderMembers, members)
	}
}

func videoID(c echo.Context) (vstack.VideoID, error) { return vstack.ParseVideoID(c.Param("id")) }

// hidden is what is answered of a video that the caller may not know of, and of none; nil where
// it may. It is asked before the video is looked for.
func (s *Server) hidden(c echo.Context, view *catalog.View, id vstack.VideoID, what string) error {
	if s.watching.May(view, c.Request(), callerOf(c), id) {
		return nil
	}
	return fmt.Errorf("%svideo %s: %w", what, id, vstack.ErrNotFound)
}

func uploadID(c echo.Context) (vstack.UploadID, error) { return vstack.ParseUploadID(c.Param("id")) }

// commit proposes for a request: it takes its request id and signs the answer with
// the index at which the write is visible.
func (s *Server) commit(c echo.Context, t command.Type, payload any) (*command.Result, error) {
	res, err := s.proposals.Propose(c.Request().Context(), t, payload, c.Request().Header.Get(wire.HeaderRequestID), callerOf(c).Name())
	if err != nil {
		return nil, err
	}
	s.sign(c, max(res.Index, s.catalog.View().Applied()))
	return res, nil
}
