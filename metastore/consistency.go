package metastore

import (
	"context"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/asked"
)

// lagTimeout bounds how long a read waits for this member to catch up.
const lagTimeout = 3 * time.Second

// isLocal reports whether this member may answer, having done what the route's
// consistency asks for; otherwise the request goes to the leader.
func (s *Server) isLocal(c echo.Context, p place) (bool, error) {
	_, leads := s.node.Leading()
	if p == leader {
		return leads, nil
	}
	switch level := c.QueryParam("consistency"); level {
	case "stale":
	case "", "default":
		if !leads {
			return false, nil
		}
	case "linearizable":
		if !leads {
			return false, nil
		}
		if err := s.linearize(c.Request().Context()); err != nil {
			return false, err
		}
	default:
		return false, fmt.Errorf("parameter consistency=%.40q: %w: want stale, default or linearizable", level, vstack.ErrInvalid)
	}
	return true, s.catchUp(c)
}

// catchUp waits for ?min_index.
func (s *Server) catchUp(c echo.Context) error {
	index, err := asked.Number(c.QueryParams(), "min_index")
	if err != nil || index == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), lagTimeout)
	defer cancel()
	return s.catalog.WaitApplied(ctx, index)
}

// linearize returns once the catalog here holds every write that was acknowledged
// anywhere before it was called.
func (s *Server) linearize(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	index, err := s.readIndex.Do(ctx, func(ctx context.Context) (uint64, error) {
		return s.node.ReadIndex(ctx, s.askTerm)
	})
	if err != nil {
		return err
	}
	return s.catalog.WaitApplied(ctx, index)
}

func (s *Server) askTerm(ctx context.Context, id string) (uint64, error) {
	var p wire.RaftPeer
	api, ok := s.apiOf(id)
	if !ok {
		return 0, fmt.Errorf("ask member %q: %w", id, vstack.ErrNotFound)
	}
	err := s.peers.Ask(ctx, api, "/v1/raft/self", &p)
	return p.Term, err
}
