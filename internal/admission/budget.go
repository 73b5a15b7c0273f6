package admission

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// parts is how many shares a budget has.
const parts = 8

// Budget lends amounts of something. Its methods may be called from several goroutines.
type Budget struct {
	what         string
	total, share int64

	mu      sync.Mutex
	free    int64
	keys    map[Key]*client
	turn    []*client // those with a waiter, the next to be served first
	waiting int       // waiters of all keys
}

// client is a key that holds something, or waits.
type client struct {
	key   Key
	used  int64
	queue []*waiter
}

type waiter struct {
	n       int64
	granted chan struct{} // closed with the budget's mutex held
}

// NewBudget makes a budget of a total. What is lent is said in errors, as "requests in flight".
func NewBudget(what string, total int64) *Budget {
	return &Budget{what: what, total: total, share: max(1, total/parts), free: total, keys: map[Key]*client{}}
}

// Acquire takes n, which is at most the total, for a key. It waits until ctx ends, then it is
// ErrUnavailable. Each success needs one Release with the same key and amount.
func (b *Budget) Acquire(ctx context.Context, key Key, n int64) error {
	return b.AcquireAmong(ctx, key, n, math.MaxInt)
}

// AcquireAmong is Acquire that waits only where there is a place to wait: of so many places one
// key has at most an eighth, and nobody is sent away whose key does not wait yet.
func (b *Budget) AcquireAmong(ctx context.Context, key Key, n int64, places int) error {
	if n > b.total {
		return fmt.Errorf("%d %s of %d: %w", n, b.what, b.total, vstack.ErrTooLarge)
	}
	b.mu.Lock()
	c := b.keys[key]
	if c == nil {
		c = &client{key: key}
		b.keys[key] = c
	}
	if len(b.turn) == 0 && b.may(c, n, false) {
		b.lend(c, n)
		b.mu.Unlock()
		return nil
	}
	if waits := len(c.queue); waits > 0 && (b.waiting >= places || waits >= max(1, places/parts)) {
		b.mu.Unlock()
		return b.late(key)
	}
	w := &waiter{n: n, granted: make(chan struct{})}
	b.waiting++
	if c.queue = append(c.queue, w); len(c.queue) == 1 {
		b.turn = append(b.turn, c)
	}
	b.serve()
	b.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	default:
	}
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.granted: // in the same moment
		return nil
	default:
	}
	c.queue = slices.DeleteFunc(c.queue, func(o *waiter) bool { return o == w })
	b.waiting--
	if len(c.queue) == 0 {
		b.turn = slices.DeleteFunc(b.turn, func(o *client) bool { return o == c })
	}
	b.forget(c)
	b.serve() // who came later may be in the way no more
	return b.late(key)
}

// TryAcquire is Acquire without a wait.
func (b *Budget) TryAcquire(key Key, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.keys[key]
	if c == nil {
		c = &client{key: key}
	}
	if !b.may(c, n, len(b.turn) > 0) {
		return b.late(key)
	}
	b.keys[key] = c
	b.lend(c, n)
	return nil
}

func (b *Budget) late(key Key) error {
	return fmt.Errorf("%s for %s: %w: there are %d, and others use them", b.what, key, vstack.ErrUnavailable, b.total)
}

// Release gives back what Acquire lent.
func (b *Budget) Release(key Key, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.keys[key]
	c.used -= n
	b.free += n
	b.forget(c)
	b.serve()
}

// Used is what is lent now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total - b.free
}

// may reports whether a key may have n more, while others wait or not.
func (b *Budget) may(c *client, n int64, others bool) bool {
	switch {
	case n > b.free:
		return false
	case c.used == 0:
		return true // the first is never refused for its size
	case c.used+n <= b.share:
		return b.free-n >= b.share/2 // many keys within their shares would else have all of it
	}
	return !others && b.free-n >= b.share
}

func (b *Budget) lend(c *client, n int64) {
	c.used += n
	b.free -= n
}

// forget drops a key that has nothing and waits for nothing: strangers' keys are without end.
func (b *Budget) forget(c *client) {
	if c.used == 0 && len(c.queue) == 0 {
		delete(b.keys, c.key)
	}
}

// serve lends to those who wait, in turn, as long as anyone may have something. Who is next
// and has nothing is waited for, whatever the size: others would else keep it away for ever.
func (b *Budget) serve() {
	for passed := 0; passed < len(b.turn); {
		c := b.turn[0]
		w := c.queue[0]
		if !b.may(c, w.n, len(b.turn) > 1) {
			if c.used == 0 {
				return
			}
			b.turn = append(b.turn[1:], c)
			passed++
			continue
		}
		b.lend(c, w.n)
		close(w.granted)
		b.waiting--
		b.turn = b.turn[1:]
		if c.queue = c.queue[1:]; len(c.queue) > 0 {
			b.turn = append(b.turn, c)
		}
		passed = 0
	}
}
