package metastore

import (
	"context"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

// propose commits a command and returns what it left. Its error is that of the command
// or of the commit.
func (s *Server) propose(ctx context.Context, t catalog.Type, payload any, requestID string) (*catalog.Result, error) {
	entry, err := catalog.Encode(t, payload, requestID, time.Now())
	if err != nil {
		return nil, err
	}
	if !s.proposing.TryRLock() {
		return nil, fmt.Errorf("commit %s: %w: a backup is being restored", t, vstack.ErrUnavailable)
	}
	out, err := s.node.Apply(ctx, entry)
	s.proposing.RUnlock()
	if err != nil {
		return nil, err
	}
	res, ok := out.(*catalog.Result)
	if !ok {
		return nil, fmt.Errorf("commit %s: %w: the catalog answered a %T", t, vstack.ErrInternal, out)
	}
	return res, res.Err()
}

// commit is propose for a request: it takes its request id and signs the answer with
// the index at which the write is visible.
func (s *Server) commit(c echo.Context, t catalog.Type, payload any) (*catalog.Result, error) {
	res, err := s.propose(c.Request().Context(), t, payload, c.Request().Header.Get(wire.HeaderRequestID))
	if err != nil {
		return nil, err
	}
	s.sign(c, max(res.Index, s.catalog.View().Applied()))
	return res, nil
}
