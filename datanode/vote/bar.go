package vote

import (
	"context"
	"fmt"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// bar holds appends back until the log has noted what the store lost before this life: a
// record before that one could raise the LSN above the echo, and after a crash between
// the two nobody would see the loss.
type bar struct {
	judged chan struct{} // closed at the first outcome

	mu  sync.Mutex // guards all below
	err error      // why the loss could not be noted; nil once it was, or there is none
	did bool
}

func newBar() *bar { return &bar{judged: make(chan struct{})} }

// settle brings an outcome. A loss that the full disk did not take is tried again with
// the next echo; what was noted once stays noted.
func (b *bar) settle(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.did && b.err == nil {
		return
	}
	if !b.did {
		b.did = true
		close(b.judged)
	}
	b.err = err
}

// wait returns once the log may grow, or with the reason why it may not.
func (b *bar) wait(ctx context.Context, halted <-chan struct{}) error {
	select {
	case <-b.judged:
	case <-halted:
		return fmt.Errorf("wait until lost records are noted: %w", vstack.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("wait until lost records are noted: %w", ctx.Err())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return fmt.Errorf("lost records are not noted yet: %w", b.err)
	}
	return nil
}

// Settle returns once the log may grow by records that no message asked for: the catalog
// has told what it remembers of the store, and what the store lost is noted.
func (v *Voter) Settle(ctx context.Context) error { return v.bar.wait(ctx, v.halted) }

// Settled reports whether Settle would return nil at once.
func (v *Voter) Settled() bool {
	select {
	case <-v.bar.judged:
		v.bar.mu.Lock()
		defer v.bar.mu.Unlock()
		return v.bar.err == nil
	default:
		return false
	}
}
