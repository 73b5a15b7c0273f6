package raftnode

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// roundTimeout bounds one round.
const roundTimeout = 3 * time.Second

// Rounds lets linearizable reads that wait share a round: a read may use any round that begins
// after it, so all that come while one is under way share the next.
type Rounds struct {
	mu   sync.Mutex
	next *round
	turn chan struct{} // holds a token while no round is under way
}

type round struct {
	done  chan struct{}
	index uint64
	err   error
}

// NewRounds makes one with no round under way.
func NewRounds() *Rounds {
	r := &Rounds{turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// Do answers what run found in a round that began after the call.
func (r *Rounds) Do(ctx context.Context, run func(context.Context) (uint64, error)) (uint64, error) {
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
// opened it is given up. The turn goes back and those who wait are told also when run
// panics, which net/http survives: a turn that is lost ends all linearizable reads.
func (r *Rounds) lead(ctx context.Context, mine *round, run func(context.Context) (uint64, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), roundTimeout)
	defer cancel()
	mine.err = fmt.Errorf("linearizable read: %w: its round did not end", vstack.ErrInternal)
	defer close(mine.done)
	turn := false
	select {
	case <-r.turn:
		turn = true
	case <-ctx.Done():
	}
	r.mu.Lock()
	r.next = nil // whoever comes from here on needs a later round
	r.mu.Unlock()
	if !turn {
		mine.err = fmt.Errorf("linearizable read: %w", vstack.ErrTimeout)
		return
	}
	defer func() { r.turn <- struct{}{} }()
	mine.index, mine.err = run(ctx)
}
