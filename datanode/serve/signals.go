package serve

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// signalsKey finds a connection's *signals in a request's context.
type signalsKey struct{}

// signals is what the server knows of one QUIC connection.
type signals struct {
	conn *quic.Conn

	mu         sync.Mutex // guards all below
	sent, lost uint64     // at the previous header
	serving    int        // requests
	last       time.Time  // that one began or ended
}

// served counts requests that are being served: by 1, and by -1 at their end.
func (s *signals) served(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving += by
	s.last = time.Now()
}

// quietFor is how long nothing has been served.
func (s *signals) quietFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving > 0 {
		return 0
	}
	return time.Since(s.last)
}

func (s *signals) handshaken(r *http.Request) error {
	select {
	case <-s.conn.HandshakeComplete():
		state := s.conn.ConnectionState().TLS
		r.TLS = &state
		return nil
	case <-r.Context().Done():
		return fmt.Errorf("wait for the QUIC handshake: %w", vstack.ErrTimeout)
	}
}

// response is the timing of one answer.
type response struct {
	signals    *signals // nil without QUIC
	busy       int
	waited     took
	sent, lost uint64 // at the header
}

func startResponse(ctx context.Context, busy int, waited took) response {
	s, _ := ctx.Value(signalsKey{}).(*signals)
	return response{signals: s, busy: busy, waited: waited}
}

// header describes the connection before the body leaves.
func (t *response) header() string {
	out := wire.ServerTiming{Busy: t.busy, Disk: t.waited.disk, Decode: t.waited.decode}
	if t.signals != nil {
		stats := t.signals.conn.ConnectionStats()
		t.sent, t.lost = stats.PacketsSent, stats.PacketsLost
		out.RTT, out.Cwnd = stats.SmoothedRTT, stats.CongestionWindow
		t.signals.mu.Lock()
		out.Sent, out.Lost = since(t.sent, t.signals.sent), since(t.lost, t.signals.lost)
		t.signals.sent, t.signals.lost = t.sent, t.lost
		t.signals.mu.Unlock()
	}
	return out.String()
}

// trailer describes the connection during this response; empty without QUIC.
func (t *response) trailer(busy int) string {
	if t.signals == nil {
		return ""
	}
	stats := t.signals.conn.ConnectionStats()
	return wire.ServerTiming{
		RTT: stats.SmoothedRTT, Cwnd: stats.CongestionWindow,
		Sent: since(stats.PacketsSent, t.sent), Lost: since(stats.PacketsLost, t.lost),
		Busy: busy, Disk: t.waited.disk, Decode: t.waited.decode,
	}.String()
}

// since is a difference of counters, of which quic-go's losses may also go back when
// a packet believed lost arrives.
func since(now, then uint64) uint64 {
	if now < then {
		return 0
	}
	return now - then
}

// wantsTrailer reports whether the client said "TE: trailers" (RFC 9110, 6.5.1).
// Chromium does not, and fails a fetch of more than a few hundred KiB whose answer
// ends in one.
func wantsTrailer(req *http.Request) bool {
	te := req.Header["Te"]
	return len(te) > 0 && strings.Contains(te[0], "trailers")
}

// trailerKey announces a trailer after the header left, on HTTP/2 and HTTP/3.
const trailerKey = http.TrailerPrefix + wire.HeaderServerTiming
