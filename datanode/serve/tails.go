package serve

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const (
	// linger is how long nothing of the last answers may leave before the connections of
	// peers that do not close theirs are closed: what a peer has and did not read is lost
	// to it then. On a slow path it is lingerRTTs round trips, at most lingerMax.
	linger     = 500 * time.Millisecond
	lingerLook = 10 * time.Millisecond
	lingerRTTs = 4
	lingerMax  = 2 * time.Second
	// lingerBytes is what a connection sends in that time that has nothing to send: probes
	// and acknowledgements.
	lingerBytes = 1000
)

// tails are the QUIC connections that are open. A handler returns when the transport has
// taken its answer, which may be a congestion window or more before the peer has it.
type tails struct {
	mu    sync.Mutex
	conns map[*quic.Conn]*signals
}

// watch follows a connection until it ends.
func (t *tails) watch(ctx context.Context, conn *quic.Conn) context.Context {
	s := &signals{conn: conn}
	s.served(0)
	t.mu.Lock()
	t.conns[conn] = s
	t.mu.Unlock()
	context.AfterFunc(conn.Context(), func() {
		t.mu.Lock()
		delete(t.conns, conn)
		t.mu.Unlock()
	})
	return context.WithValue(ctx, signalsKey{}, s)
}

// quietLook is how often connections are looked at on which nothing is served.
const quietLook = 5 * time.Second

// closeQuiet closes the connections on which no request was served for a while, until ctx
// ends. The library does not close one with a stream on it, whose header may never end.
func (t *tails) closeQuiet(ctx context.Context, idle time.Duration) {
	look := time.NewTicker(min(idle, quietLook))
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		var quiet []*quic.Conn
		t.mu.Lock()
		for conn, s := range t.conns {
			if s.quietFor() > idle {
				quiet = append(quiet, conn)
			}
		}
		t.mu.Unlock()
		for _, conn := range quiet {
			_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "idle") // it may have ended
		}
	}
}

// drop closes the connections whose peers are gone by what they showed of themselves.
func (t *tails) drop(gone func(*tls.ConnectionState) error) {
	t.mu.Lock()
	open := slices.Collect(maps.Keys(t.conns))
	t.mu.Unlock()
	for _, conn := range open {
		if state := conn.ConnectionState().TLS; gone(&state) != nil {
			_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "certificate revoked") // it may have ended
		}
	}
}

// sent is what each open connection has sent so far, and how long to look on for more.
func (t *tails) sent() (sent map[*quic.Conn]uint64, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sent, wait = make(map[*quic.Conn]uint64, len(t.conns)), linger
	for conn := range t.conns {
		stats := conn.ConnectionStats()
		sent[conn] = stats.BytesSent
		wait = max(wait, min(lingerRTTs*stats.SmoothedRTT, lingerMax))
	}
	return sent, wait
}

// leave waits until every peer has closed its connection, as it should when it was told to
// go away and has what it asked for, or nothing more leaves, or ctx ends.
func (t *tails) leave(ctx context.Context) {
	look := time.NewTicker(lingerLook)
	defer look.Stop()
	before, wait := t.sent()
	for since := time.Now(); len(before) > 0; {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		now, next := t.sent()
		if len(now) > 0 && time.Since(since) < wait {
			continue
		}
		quiet := true
		for conn, n := range now {
			quiet = quiet && n-before[conn] < lingerBytes
		}
		if quiet {
			return
		}
		before, wait, since = now, next, time.Now()
	}
}
