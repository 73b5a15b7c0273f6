package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// Restore makes size bytes of r, in the format of the FSM's snapshots, the state of all
// members, at the index given or later. It returns once a majority has taken it. Entries
// in flight meanwhile are of unknown outcome. term is the leadership that the caller
// made sure in that nothing is lost: under another one nothing is done.
func (n *Node) Restore(ctx context.Context, term, index uint64, size int64, r io.Reader) error {
	if l, ok := n.Leading(); !ok || l.Term != term {
		return fmt.Errorf("restore: %w: %s does not lead term %d any more", vstack.ErrNoLeader, n.cfg.ID, term)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if !n.enter() {
		return fmt.Errorf("restore: %w: %s is closing", vstack.ErrNoLeader, n.cfg.ID)
	}
	defer n.ops.Done()
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Index: index, Size: size}
	// No timeout: the library's covers the whole of it, and calls what was taken not begun.
	switch err := n.raft.Restore(meta, r, 0); {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return fmt.Errorf("restore: %w: %v", vstack.ErrNoLeader, err)
	default: // it may have been taken here, and will reach the others or be replaced
		return fmt.Errorf("restore: %w: %v", vstack.ErrOutcomeUnknown, err)
	}
}
