package metastore

import (
	"context"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// propose commits a command and returns what it left. Its error is that of the command
// or of the commit.
func (s *Server) propose(ctx context.Context, t command.Type, payload any, requestID string) (*command.Result, error) {
	return s.proposeFor(ctx, t, payload, requestID, "")
}

// proposeFor is propose for somebody who asked, and is remembered once members can.
func (s *Server) proposeFor(ctx context.Context, t command.Type, payload any, requestID, by string) (*command.Result, error) {
	if s.catalog.View().Level() < vstack.LevelPolicy {
		by = ""
	}
	entry, err := command.EncodeFor(t, payload, requestID, by, time.Now())
	if err != nil {
		return nil, err
	}
	if !s.proposing.TryRLock() {
		return nil, fmt.Errorf("commit %s: %w: a backup is being restored", t, vstack.ErrUnavailable)
	}
	ctx, span := tracing.Start(ctx, "raft commit "+string(t))
	out, err := s.node.Apply(ctx, entry)
	tracing.End(span, err)
	s.proposing.RUnlock()
	if err != nil {
		return nil, err
	}
	res, ok := out.(*command.Result)
	if !ok {
		return nil, fmt.Errorf("commit %s: %w: the catalog answered a %T", t, vstack.ErrInternal, out)
	}
	return res, res.Err()
}

// commit is propose for a request: it takes its request id and signs the answer with
// the index at which the write is visible.
func (s *Server) commit(c echo.Context, t command.Type, payload any) (*command.Result, error) {
	res, err := s.proposeFor(c.Request().Context(), t, payload, c.Request().Header.Get(wire.HeaderRequestID), callerOf(c).Name())
	if err != nil {
		return nil, err
	}
	s.sign(c, max(res.Index, s.catalog.View().Applied()))
	return res, nil
}
