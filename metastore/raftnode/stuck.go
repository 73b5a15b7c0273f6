package raftnode

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// stuckChecks is how often a transfer must refuse, evenly over its limit, to count as one
// that never ends.
const stuckChecks = 8

// watchTransfer follows a leadership transfer that refused something to its end.
func (n *Node) watchTransfer() {
	if !n.watching.CompareAndSwap(false, true) {
		return // by one goroutine at a time
	}
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		defer n.watching.Store(false)
		n.endStuck(max(2*n.cfg.Election, time.Second), func() error { return n.raft.Barrier(barrierTimeout).Error() })
	}()
}

// endStuck ends a leader that refuses writes for a transfer that never ends: the library
// does not always recover from one that failed. It asks itself, since writes may be rare:
// two that meet two transfers, long apart, are no sign.
func (n *Node) endStuck(limit time.Duration, ask func() error) {
	tick := time.NewTicker(limit / stuckChecks)
	defer tick.Stop()
	for began, refused := time.Now(), 0; ; {
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
		if n.raft.State() != raft.Leader || !n.enter() {
			return
		}
		err := ask()
		n.ops.Done()
		if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return
		}
		if refused++; refused >= stuckChecks {
			n.fatal(fmt.Errorf("leadership transfer: %w: still in progress after %s", vstack.ErrTimeout, time.Since(began).Round(time.Millisecond)))
			return
		}
	}
}
