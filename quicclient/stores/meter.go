package stores

import (
	"math"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/policy"
)

const (
	fastTau   = 2 * time.Second
	slowTau   = 10 * time.Second
	recentTau = 200 * time.Millisecond
	// lossWeight is how many packets a sample of loss needs to weigh as much as all before.
	lossWeight = 400
	// sampleEvery is the shortest stretch that a goodput sample is taken over, but where
	// sampleBytes have come sooner; less is the noise of one burst: an init chunk that comes in
	// one packet says nothing of a link's rate. Short bodies make a sample together.
	sampleEvery = 50 * time.Millisecond
	sampleBytes = 32 << 10
	// smoothing is the weight of a new sample in averages that count samples, not time;
	// RFC 6298 uses it for round-trip times.
	smoothing = 1.0 / 8

	// defaultCwnd is the congestion window of a connection that did not tell: quic-go's first.
	defaultCwnd = 32 * 1252

	ejectMin = 250 * time.Millisecond
	ejectMax = 2 * time.Second
)

// meter keeps the signals of one store that come from the client's own timing and from
// the store's Server-Timing. Times are on the client's clock.
type meter struct {
	mu sync.Mutex

	inFlight int
	pending  int64
	bodies   int           // attempts that are receiving
	window   time.Duration // start of the current goodput sample
	carry    time.Duration // what bodies before have of it, while none comes
	acc      int64         // bytes in it
	fast     float64
	slow     float64
	recent   float64
	busy     time.Duration // since when bytes have been owed; meaningless while none are
	used     time.Duration // when the last request began or ended
	ghosts   float64       // bytes of cut attempts that still have to pass the link
	ghostsAt time.Duration
	ttfb     time.Duration
	lastByte time.Duration

	timing wire.ServerTiming
	loss   float64

	failures   int
	ejectUntil time.Duration
	ejectMark  uint64 // packets received when it was ejected for silence; 0 for an error

	bytes, chunks, errors int64
}

// Begin counts a request for n bytes.
func (m *meter) Begin(now time.Duration, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == 0 {
		m.busy = now
		m.lastByte = max(m.lastByte, now) // silence begins with a debt
	}
	m.used = now
	m.inFlight++
	m.pending += n
}

// FirstByte counts an answer that came after ttfb.
func (m *meter) FirstByte(now, ttfb time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastByte = now
	if m.ttfb == 0 {
		m.ttfb = ttfb
	} else {
		m.ttfb += time.Duration(smoothing * float64(ttfb-m.ttfb))
	}
	if m.bodies++; m.bodies == 1 {
		m.window = now - m.carry
	}
}

// Received counts n bytes of a body, of which owed were still wanted.
func (m *meter) Received(now time.Duration, n, owed int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastByte = now
	m.bytes += n
	m.pending -= owed
	m.acc += n
	if now-m.window >= sampleEvery {
		m.sample(now)
	}
}

// End counts the end of a request of which left bytes never came; answered tells
// whether FirstByte was called for it.
func (m *meter) End(now time.Duration, left int64, answered bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	m.pending -= left
	m.used = now
	if !answered {
		return
	}
	if m.bodies--; m.bodies > 0 {
		return
	}
	if m.carry = now - m.window; m.carry > 0 && (m.carry >= sampleEvery || m.acc >= sampleBytes) {
		m.sample(now)
	}
}

// sample closes the current window: idle time between bodies never counts.
func (m *meter) sample(now time.Duration) {
	dt := now - m.window
	rate := float64(m.acc) / dt.Seconds()
	m.fast = decay(m.fast, rate, dt, fastTau)
	m.slow = decay(m.slow, rate, dt, slowTau)
	m.recent = decay(m.recent, rate, dt, recentTau)
	m.window, m.carry, m.acc = now, 0, 0
}

// Cut counts n bytes that are not wanted any more of an attempt that ends earlier. What
// of them is under way, a congestion window at most, passes the link all the same.
func (m *meter) Cut(now time.Duration, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending -= n
	window := float64(m.timing.Cwnd)
	if window == 0 {
		window = defaultCwnd
	}
	m.ghosts = m.ghostsNow(now) + min(float64(n), window)
	m.ghostsAt = now
}

// ghostsNow is what is left of them: the link sends them at its rate.
func (m *meter) ghostsNow(now time.Duration) float64 {
	return max(0, m.ghosts-min(m.fast, m.slow)*(now-m.ghostsAt).Seconds())
}

// Busy is how many requests run.
func (m *meter) Busy() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inFlight
}

// Idle reports whether the store has had no request for a while.
func (m *meter) Idle(now, while time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inFlight == 0 && now-m.used >= while
}

// decay is an average in which a sample over dt weighs 1 − e^(−dt/τ).
func decay(avg, sample float64, dt, tau time.Duration) float64 {
	if avg == 0 {
		return sample
	}
	return avg + (1-math.Exp(-float64(dt)/float64(tau)))*(sample-avg)
}

// Told takes what the store said of itself.
func (m *meter) Told(header string) {
	t, ok := wire.ParseServerTiming(header)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.Sent > 0 { // a sample of ten packets says less than one of a thousand
		weight := float64(t.Sent) / (float64(t.Sent) + lossWeight)
		m.loss += weight * (min(1, float64(t.Lost)/float64(t.Sent)) - m.loss)
	}
	if t.RTT == 0 { // over TCP the store knows nothing of the path
		t.RTT, t.Cwnd = m.timing.RTT, m.timing.Cwnd
	}
	m.timing = t
}

// Succeeded ends an ejection: the store delivered.
func (m *meter) Succeeded(chunks int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures, m.ejectUntil, m.ejectMark = 0, 0, 0
	m.chunks += chunks
}

// Failed counts an error.
func (m *meter) Failed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.errors++
}

// Eject leaves the store alone for a time that doubles with each failure in a row. One
// that fell silent is left alone until a packet comes from it, beyond the packets it
// had sent by then: the PING of the next second asks it. packets is 0 for a store that
// failed in another way, or without QUIC.
func (m *meter) Eject(now time.Duration, packets uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pause := ejectMax
	if m.failures < 8 {
		pause = min(ejectMax, ejectMin<<m.failures)
	}
	m.failures++
	m.ejectUntil, m.ejectMark = now+pause, packets
}

// connected lifts an ejection: a fresh handshake is a sign of life.
func (m *meter) connected() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ejectUntil, m.ejectMark = 0, 0
}

// fill writes the meter's part of s. packets is how many have been received on the
// QUIC connection, 0 without one.
func (m *meter) fill(s *policy.Signals, now time.Duration, packets uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.ServerRTT, s.Cwnd, s.Loss = m.timing.RTT, m.timing.Cwnd, m.loss
	s.Busy, s.Disk = m.timing.Busy, m.timing.Disk
	s.TTFB, s.Fast, s.Slow, s.Recent = m.ttfb, m.fast, m.slow, m.recent
	s.Sampled = m.fast > 0
	if dt := now - m.window; m.bodies > 0 && s.Sampled && dt >= sampleEvery { // the window that is open
		rate := float64(m.acc) / dt.Seconds()
		s.Fast, s.Slow, s.Recent = decay(m.fast, rate, dt, fastTau), decay(m.slow, rate, dt, slowTau), decay(m.recent, rate, dt, recentTau)
	}
	s.Ghosts = int64(m.ghostsNow(now))
	s.Pending, s.InFlight = m.pending+s.Ghosts, m.inFlight
	if m.pending > 0 {
		s.Busied = now - m.busy
	}
	s.Failures = m.failures
	s.Ejected = now < m.ejectUntil
	if m.ejectMark > 0 && packets > 0 {
		s.Ejected = packets <= m.ejectMark
	}
	s.Bytes, s.Chunks, s.Errors = m.bytes, m.chunks, m.errors
	s.Silence = now - m.lastByte
}
