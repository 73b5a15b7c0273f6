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

// Tails are the QUIC connections of a listener that are open. A handler returns when the
// transport has taken its answer, which may be a congestion window or more before the peer has
// it: a listener that closes waits for that by Leave.
type Tails struct {
	mu    sync.Mutex
	conns map[*quic.Conn]*signals
}

// NewTails follows no connection yet.
func NewTails() *Tails { return &Tails{conns: map[*quic.Conn]*signals{}} }

// Watch follows a connection until it ends. Answers to requests under the context tell of the
// connection, of which this is the only such context.
func (t *Tails) Watch(ctx context.Context, conn *quic.Conn) context.Context {
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
func (t *Tails) closeQuiet(ctx context.Context, idle time.Duration) {
	look := time.NewTicker(min(idle, quietLook))
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		t.end("idle", func(s *signals) bool { return s.quietFor() > idle })
	}
}

// end closes the connections that are meant, and tells their peers why.
func (t *Tails) end(why string, meant func(*signals) bool) {
	t.mu.Lock()
	open := slices.Collect(maps.Values(t.conns))
	t.mu.Unlock()
	for _, s := range open {
		if meant(s) {
			_ = s.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), why) // it may have ended
		}
	}
}

// drop closes the connections whose peers are gone by what they showed of themselves.
func (t *Tails) drop(gone func(*tls.ConnectionState) error) {
	t.end("certificate revoked", func(s *signals) bool {
		state := s.conn.ConnectionState().TLS
		return gone(&state) != nil
	})
}

// sent is what each open connection has sent so far, and how long to look on for more.
func (t *Tails) sent() (sent map[*quic.Conn]uint64, wait time.Duration) {
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

// Leave waits until every peer has closed its connection, as it should when it was told to
// go away and has what it asked for, or nothing more leaves, or ctx ends. Then it tells those
// that are left: the library ends connections in silence.
func (t *Tails) Leave(ctx context.Context) {
	defer t.end("going away", func(*signals) bool { return true })
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
