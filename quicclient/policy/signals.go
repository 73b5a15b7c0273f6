package policy

import (
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Link is how a store can be reached now.
type Link string

const (
	LinkIdle    Link = "idle"    // nobody needed it yet
	LinkDialing Link = "dialing" // a QUIC handshake runs
	LinkQUIC    Link = "quic"    // a QUIC connection is up
	LinkTCP     Link = "tcp"     // QUIC did not get through, TCP did
	LinkDown    Link = "down"    // the last dial had no success; another is due after a pause
)

// Signals is what a client knows of one store. Durations are seconds in JSON.
type Signals struct {
	Store vstack.StoreID
	Host  vstack.HostID
	Addr  string
	State vstack.StoreState // the catalog's opinion
	Link  Link
	// Conns is how many QUIC connections stand, or 1 over TCP; 0 when none does.
	Conns int

	// The path, from the client's own QUIC stack. Until Measured the figures are the
	// stack's initial guess.
	Measured bool
	RTT      time.Duration // smoothed
	RTTVar   time.Duration // mean deviation
	MinRTT   time.Duration
	// Freshness is the time since a packet was last seen to have come; the keep-alive
	// PING makes that at most a second and a round trip on a live path.
	Freshness time.Duration

	// The downlink and the server, from the Server-Timing of its last answers.
	ServerRTT time.Duration
	Cwnd      uint64  // bytes
	Loss      float64 // of the packets sent lately, 0 to 1
	Busy      int     // requests in flight there
	Disk      time.Duration

	// Own timing.
	Silence time.Duration // since the last byte of a body came from the store
	TTFB    time.Duration // request to first byte, EWMA
	Fast    float64       // goodput while busy, bytes a second, EWMA over 2 s
	Slow    float64       // the same over 10 s
	Recent  float64       // the same over 0.2 s
	Busied  time.Duration // for how long bytes have been owed without a pause
	Sampled bool          // Fast, Slow and Recent hold a sample

	// Load and history of this client.
	Pending  int64 // bytes asked for and not received, Ghosts included
	Ghosts   int64 // bytes of cut attempts that will probably still come
	InFlight int   // requests
	Failures int   // consecutive
	Ejected  bool  // left alone for a while after failures
	Bytes    int64 // received in all
	Chunks   int64 // verified chunks that it delivered alone or in part
	Errors   int64 // attempts that failed
}

const (
	// maxAckDelay is what RFC 9000 lets a receiver wait before it acknowledges.
	maxAckDelay = 25 * time.Millisecond
	// granularity is the timer granularity of RFC 9002.
	granularity = time.Millisecond
	// minPatience is the shortest silence that counts: below it lies the noise of a
	// scheduler and of a busy disk.
	minPatience = 200 * time.Millisecond
)

// PTO is the probe timeout of RFC 9002, section 6.2.1.
func (s Signals) PTO() time.Duration {
	return s.RTT + max(4*s.RTTVar, granularity) + maxAckDelay
}

// Patience is how long a store that owes bytes may stay silent before it counts as
// dead: three probe timeouts, and no less than 200 ms. Before the first sample the
// stack's guess of 100 ms would make that a second, so only the floor counts twice.
func (s Signals) Patience() time.Duration {
	if !s.Measured {
		return 2 * minPatience
	}
	return max(3*s.PTO(), minPatience)
}

// Goodput is the smaller of the two averages: quick to believe bad news, slow to
// believe good. Zero means that nothing was measured yet.
func (s Signals) Goodput() float64 {
	if s.Fast == 0 || s.Slow == 0 {
		return max(s.Fast, s.Slow)
	}
	return min(s.Fast, s.Slow)
}

// Up reports whether requests can be sent to the store now.
func (s *Signals) Up() bool { return (s.Link == LinkQUIC || s.Link == LinkTCP) && !s.Ejected }
