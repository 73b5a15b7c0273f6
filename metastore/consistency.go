package metastore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
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
	index, err := queryUint(c, "min_index")
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
	index, err := s.readIndex.do(ctx, func(ctx context.Context) (uint64, error) {
		return s.node.ReadIndex(ctx, s.askTerm)
	})
	if err != nil {
		return err
	}
	return s.catalog.WaitApplied(ctx, index)
}

func (s *Server) askTerm(ctx context.Context, id string) (uint64, error) {
	var p wire.RaftPeer
	err := s.ask(ctx, id, "/v1/raft/self", &p)
	return p.Term, err
}

// readIndex lets reads that wait share a round: a read may use any round that begins
// after it, so all that come while one is under way share the next.
type readIndex struct {
	mu   sync.Mutex
	next *round
	turn chan struct{} // holds a token while no round is under way
}

type round struct {
	done  chan struct{}
	index uint64
	err   error
}

func newReadIndex() *readIndex {
	r := &readIndex{turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

func (r *readIndex) do(ctx context.Context, run func(context.Context) (uint64, error)) (uint64, error) {
	r.mu.Lock()
	mine := r.next
	first := mine == nil
	if first {
		mine = &round{done: make(chan struct{})}
		r.next = mine
	}
	r.mu.Unlock()
	if first {
		r.lead(ctx, mine, run)
	}
	select {
	case <-mine.done:
		return mine.index, mine.err
	case <-ctx.Done():
		return 0, fmt.Errorf("linearizable read: %w", vstack.ErrTimeout)
	}
}

// lead runs a round for all who joined it until it began; it goes on when the read that
// opened it is given up.
func (r *readIndex) lead(ctx context.Context, mine *round, run func(context.Context) (uint64, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lagTimeout)
	defer cancel()
	var err error
	select {
	case <-r.turn:
	case <-ctx.Done():
		err = fmt.Errorf("linearizable read: %w", vstack.ErrTimeout)
	}
	r.mu.Lock()
	r.next = nil // whoever comes from here on needs a later round
	r.mu.Unlock()
	if err == nil {
		mine.index, err = run(ctx)
		r.turn <- struct{}{}
	}
	mine.err = err
	close(mine.done)
}
