package serve

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/wire"
)

// background reports whether a read is of the class that repair sends: it is served after
// clients'.
func background(req *http.Request) bool {
	p := req.Header["Priority"]
	return len(p) == 1 && strings.TrimSpace(p[0]) == wire.PriorityBackground
}

// turns lets reads of the background class wait while there are others. So repair follows how
// busy its source is, and by the bound on that wait it never stops.
type turns struct {
	mu      sync.Mutex // guards all below
	clients int
	behind  int           // that wait
	alone   chan struct{} // closed when the last client goes; nil while there is none
}

// begin counts a client in; end counts it out.
func (t *turns) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clients++; t.clients == 1 {
		t.alone = make(chan struct{})
	}
}

func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clients--; t.clients == 0 {
		close(t.alone)
		t.alone = nil
	}
}

// after waits until there is no client, for at most as long, and reports whether it waited.
func (t *turns) after(ctx context.Context, most time.Duration) bool {
	t.mu.Lock()
	alone := t.alone
	if alone == nil {
		t.mu.Unlock()
		return false
	}
	t.behind++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.behind--
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-alone:
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}
