package proposals

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/raftnode"
)

// Proposals commit commands on this member. They stand still while a backup takes the place of the
// catalog.
type Proposals struct {
	catalog *catalog.Catalog
	node    *raftnode.Node
	mu      sync.RWMutex // held for writing while a backup is restored
}

// New makes those of a member.
func New(c *catalog.Catalog, n *raftnode.Node) *Proposals { return &Proposals{catalog: c, node: n} }

// Propose commits a command and returns what it left. Its error is that of the command
// or of the commit. by is who asked, "" for nobody, and is remembered once members can.
func (s *Proposals) Propose(ctx context.Context, t command.Type, payload any, requestID, by string) (*command.Result, error) {
	if s.catalog.View().Level() < vstack.LevelPolicy {
		by = ""
	}
	entry, err := command.EncodeFor(t, payload, requestID, by, time.Now())
	if err != nil {
		return nil, err
	}
	if !s.mu.TryRLock() {
		return nil, fmt.Errorf("commit %s: %w: a backup is being restored", t, vstack.ErrUnavailable)
	}
	ctx, span := tracing.Start(ctx, "raft commit "+string(t))
	out, err := s.node.Apply(ctx, entry)
	tracing.End(span, err)
	s.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	res, ok := out.(*command.Result)
	if !ok {
		return nil, fmt.Errorf("commit %s: %w: the catalog answered a %T", t, vstack.ErrInternal, out)
	}
	return res, res.Err()
}
