package intake

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Guard reads a request's body within a size and above a rate. The time that counts is
// the time spent waiting for the client: what this process spends on a slow disk between
// two reads is not held against the link. A client that sends nothing for a whole window
// is cut off, and so is one that sends less than rate in each second that it was waited
// for, judged a window at a time.
type Guard struct {
	body   io.Reader
	ctl    *http.ResponseController
	left   int64 // bytes that may still come
	limit  int64
	window time.Duration
	rate   int64 // bytes a second

	mu      sync.Mutex
	stopped bool
	over    bool          // the handler returns: its connection is another request's
	until   time.Time     // the connection's read deadline
	waited  time.Duration // for the client, since the last judgement
	got     int64         // bytes in that time
}

// New guards body, of at most limit bytes at no less than rate bytes a second.
func New(w http.ResponseWriter, body io.Reader, limit, rate int64, window time.Duration) *Guard {
	return &Guard{body: body, ctl: http.NewResponseController(w), left: limit, limit: limit, window: window, rate: rate}
}

// Begun says whether the body was asked for: a client that waits for "100 Continue" has
// sent nothing before.
func (g *Guard) Begun() bool { return !g.until.IsZero() }

// Ended takes the deadline off the connection: the body is in, and what follows takes as
// long as it takes.
func (g *Guard) Ended() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopped && !g.over {
		_ = g.ctl.SetReadDeadline(time.Time{})
	}
}

// Stop ends a Read that waits, and lets no other wait. It may be called from another
// goroutine than Read, and after Over.
func (g *Guard) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
	if !g.over {
		_ = g.ctl.SetReadDeadline(time.Now())
	}
}

// Over says that the handler returns: nothing touches its connection after that. In HTTP/2 the
// writer of a request that is over has nothing behind it any more, and who uses it panics.
func (g *Guard) Over() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
}

// extend gives a read at least a whole window; a deadline is not moved for every 4 KiB.
func (g *Guard) extend(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped || g.over {
		return fmt.Errorf("receive: %w: ended here", vstack.ErrCanceled)
	}
	if g.until.Sub(now) >= g.window {
		return nil
	}
	g.until = now.Add(g.window + g.window/4)
	if err := g.ctl.SetReadDeadline(g.until); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("receive: set deadline: %w", err)
	}
	return nil
}

func (g *Guard) Read(p []byte) (int, error) {
	if err := g.judge(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := g.extend(began); err != nil {
		return 0, err
	}
	if int64(len(p)) > g.left+1 {
		p = p[:g.left+1]
	}
	n, err := g.body.Read(p)
	g.left -= int64(n)
	g.got += int64(n)
	g.waited += time.Since(began)
	switch {
	case g.left < 0:
		return 0, fmt.Errorf("receive: %w: body of more than %d bytes", vstack.ErrTooLarge, g.limit)
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fmt.Errorf("receive: %w: nothing came for %s", vstack.ErrTruncated, g.window)
	}
	return n, fmt.Errorf("receive: %w: %w", vstack.ErrTruncated, err)
}

// judge looks at the rate once a window of waiting is over.
func (g *Guard) judge() error {
	if g.waited < g.window {
		return nil
	}
	if want := int64(float64(g.rate) * g.waited.Seconds()); g.got < want {
		return fmt.Errorf("receive: %w: %d bytes in %s, want at least %d a second", vstack.ErrTruncated, g.got, g.waited.Round(time.Millisecond), g.rate)
	}
	g.waited, g.got = 0, 0
	return nil
}
