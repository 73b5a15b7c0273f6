package conns

import (
	"net"
	"net/http"
	"sync"
)

// Fresh are the connections over which nothing was asked yet, such as those that a
// client dialled for an attempt that another one beat. http.Server would wait for each
// of them for 5 s when it shuts down.
type Fresh struct {
	mu      sync.Mutex
	open    map[net.Conn]struct{}
	closing bool
}

// Track is the server's ConnState.
func (f *Fresh) Track(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(f.open, c)
	case f.closing:
		_ = c.Close()
	default:
		if f.open == nil {
			f.open = map[net.Conn]struct{}{}
		}
		f.open[c] = struct{}{}
	}
}

// Close closes them, and those to come.
func (f *Fresh) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closing = true
	for c := range f.open {
		_ = c.Close()
	}
}
