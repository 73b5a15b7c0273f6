package inbox

import (
	"net"
	"os"
	"sync"
	"time"
)

// Bytes is what waits for a reader at most; what does not fit is dropped, as a kernel drops it.
const Bytes = 8 << 20

// Inbox holds datagrams of a kind.
type Inbox[D any] struct {
	size func(D) int

	mu       sync.Mutex
	ready    *sync.Cond // a datagram came, the deadline passed, or it was closed
	waiting  []D
	bytes    int
	deadline time.Time
	timer    *time.Timer
	closed   bool
}

// New makes one of datagrams that take so many bytes each.
func New[D any](size func(D) int) *Inbox[D] {
	b := &Inbox[D]{size: size}
	b.ready = sync.NewCond(&b.mu)
	return b
}

// Put has a datagram wait; false: there is no room for it, or nobody reads any more.
func (b *Inbox[D]) Put(d D) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.size(d); !b.closed && b.bytes+n <= Bytes {
		b.bytes += n
		b.waiting = append(b.waiting, d)
		b.ready.Signal()
		return true
	}
	return false
}

// Take waits for a datagram. Errors: net.ErrClosed, os.ErrDeadlineExceeded.
func (b *Inbox[D]) Take() (d D, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.closed:
			return d, net.ErrClosed
		case !b.deadline.IsZero() && !time.Now().Before(b.deadline):
			return d, os.ErrDeadlineExceeded
		case len(b.waiting) > 0:
			var none D
			d, b.waiting[0] = b.waiting[0], none
			b.waiting = b.waiting[1:]
			b.bytes -= b.size(d)
			return d, nil
		}
		b.ready.Wait()
	}
}

// SetDeadline bounds each Take; zero for no bound. Error: net.ErrClosed.
func (b *Inbox[D]) SetDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return net.ErrClosed
	}
	b.deadline = t
	b.timer = Timer(b.timer, t, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ready.Broadcast()
	})
	b.ready.Broadcast()
	return nil
}

// Closed reports whether it is.
func (b *Inbox[D]) Closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Close lets readers go. It answers what still waited, and whether it was open.
func (b *Inbox[D]) Close() (left []D, was bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	left, was = b.waiting, !b.closed
	b.closed, b.waiting, b.bytes = true, nil, 0
	b.timer = Timer(b.timer, time.Time{}, nil)
	b.ready.Broadcast()
	return left, was
}

// Timer wakes whoever waits when a deadline passes, in place of an old one.
func Timer(old *time.Timer, t time.Time, wake func()) *time.Timer {
	if old != nil {
		old.Stop()
	}
	if t.IsZero() {
		return nil
	}
	return time.AfterFunc(time.Until(t), wake)
}
