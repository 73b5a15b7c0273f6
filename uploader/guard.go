package uploader

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// guard reads a request's body within a size and above a rate: in each window at least
// rate × window bytes must arrive. It moves the connection's read deadline, so a client
// that sends nothing is noticed too.
type guard struct {
	body   io.Reader
	ctl    *http.ResponseController
	left   int64 // bytes that may still come
	limit  int64
	window time.Duration
	rate   int64 // bytes a second
	until  time.Time
	got    int64 // in this window
}

func newGuard(w http.ResponseWriter, body io.Reader, limit, rate int64, window time.Duration) *guard {
	return &guard{body: body, ctl: http.NewResponseController(w), left: limit, limit: limit, window: window, rate: rate}
}

func (g *guard) Read(p []byte) (int, error) {
	now := time.Now()
	if now.After(g.until) {
		if !g.until.IsZero() && g.got < g.rate*int64(g.window/time.Second) {
			return 0, fmt.Errorf("receive: %w: %d bytes in %s, want at least %d a second", vstack.ErrTruncated, g.got, g.window, g.rate)
		}
		g.until, g.got = now.Add(g.window), 0
		if err := g.ctl.SetReadDeadline(g.until); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, fmt.Errorf("receive: set deadline: %w", err)
		}
	}
	if int64(len(p)) > g.left+1 {
		p = p[:g.left+1]
	}
	n, err := g.body.Read(p)
	g.left -= int64(n)
	g.got += int64(n)
	switch {
	case g.left < 0:
		return 0, fmt.Errorf("receive: %w: body of more than %d bytes", vstack.ErrTooLarge, g.limit)
	case err == nil || err == io.EOF:
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, fmt.Errorf("receive: %w: nothing came for up to %s", vstack.ErrTruncated, g.window)
	}
	return n, fmt.Errorf("receive: %w: %w", vstack.ErrTruncated, err)
}
