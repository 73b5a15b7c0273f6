package stores

import (
	"math"
	"testing"
	"time"

	"github.com/vstack/vstack/quicclient/policy"
)

const (
	ms = time.Millisecond
	mb = 1 << 20
)

func signalsOf(m *meter, now time.Duration, packets uint64) (s policy.Signals) {
	m.fill(&s, now, packets)
	return s
}

// body feeds n bytes in steps of 10 ms from start, and returns when it ended.
func body(m *meter, start time.Duration, n, perStep int64) time.Duration {
	m.Begin(0, n)
	m.FirstByte(start, 5*ms)
	now, left := start, n
	for left > 0 {
		now += 10 * ms
		k := min(perStep, left)
		m.Received(now, k, k)
		left -= k
	}
	m.End(now, 0, true)
	return now
}

func near(a, b float64) bool { return a > 0.97*b && a < 1.03*b }

func TestGoodputCountsBusyTimeOnly(t *testing.T) {
	m := &meter{}
	now := time.Duration(0)
	for range 20 {
		now = body(m, now, 2*mb, mb/8) + 30*time.Second // long idle gaps
	}
	s := signalsOf(m, now, 0)
	if want := float64(100 * mb / 8); !near(s.Fast, want) || !near(s.Slow, want) {
		t.Errorf("fast %.0f, slow %.0f bytes/s; want %.0f", s.Fast, s.Slow, want)
	}
	if s.Pending != 0 || s.InFlight != 0 || s.Bytes != 40*mb || s.TTFB != 5*ms {
		t.Errorf("%+v", s)
	}
}

// TestABurstSaysNothingOfARate: what comes in one packet comes at once on any link. Short
// bodies make a sample together.
func TestABurstSaysNothingOfARate(t *testing.T) {
	m := &meter{}
	short := func(at time.Duration, n int64) {
		m.Begin(at, n)
		m.FirstByte(at, 40*ms)
		m.Received(at+200*time.Microsecond, n, n)
		m.End(at+200*time.Microsecond, 0, true)
	}
	short(0, 900)
	if s := signalsOf(m, ms, 0); s.Sampled {
		t.Errorf("900 bytes in one packet are a sample: %.0f bytes/s", s.Fast)
	}
	for i := range 28 {
		short(time.Duration(i+1)*10*ms, 1100)
	}
	if s := signalsOf(m, time.Second, 0); s.Sampled {
		t.Errorf("%d bytes in %v are a sample", s.Bytes, 29*200*time.Microsecond)
	}
	short(time.Second, 1100) // 32 KiB are full
	want := float64(900+29*1100) / (30 * 200 * time.Microsecond).Seconds()
	if s := signalsOf(m, 2*time.Second, 0); !s.Sampled || !near(s.Fast, want) {
		t.Errorf("short bodies together: %.0f bytes/s, want %.0f", s.Fast, want)
	}
}

func TestFastAverageMovesFirst(t *testing.T) {
	m := &meter{}
	now := body(m, 0, 200*mb, mb) // 100 MB/s for 2 s
	now = body(m, now, 20*mb, mb/10)
	s := signalsOf(m, now, 0)
	high, low := float64(100*mb), float64(10*mb)
	if !(s.Fast < s.Slow && s.Fast > low && s.Slow < high) {
		t.Errorf("fast %.0f, slow %.0f", s.Fast, s.Slow)
	}
	// 2 s at τ = 2 s leave 1/e of the difference.
	if want := low + (high-low)*0.3679; !near(s.Fast, want) {
		t.Errorf("fast %.0f, want %.0f", s.Fast, want)
	}
	if s.Goodput() != s.Fast {
		t.Error("the smaller one counts")
	}
}

func TestPendingIsGivenBackWhenARequestFails(t *testing.T) {
	m := &meter{}
	m.Begin(0, 1000)
	m.Begin(0, 500)
	m.FirstByte(ms, ms)
	m.Received(2*ms, 300, 300)
	if s := signalsOf(m, 2*ms, 0); s.Pending != 1200 || s.InFlight != 2 || s.Silence != 0 {
		t.Errorf("%+v", s)
	}
	m.End(3*ms, 700, true)
	m.End(3*ms, 500, false) // never answered
	if s := signalsOf(m, 12*ms, 0); s.Pending != 0 || s.InFlight != 0 || s.Silence != 10*ms {
		t.Errorf("%+v", s)
	}
	if m.bodies != 0 {
		t.Errorf("%d bodies open", m.bodies)
	}
}

func TestServerTimingIsBelieved(t *testing.T) {
	m := &meter{}
	m.Told("rtt;dur=20, cwnd;desc=65536, sent;desc=100, lost;desc=8, busy;desc=4, disk;dur=0.5")
	s := signalsOf(m, 0, 0)
	if s.ServerRTT != 20*ms || s.Cwnd != 65536 || s.Busy != 4 || s.Disk != ms/2 || math.Abs(s.Loss-0.016) > 1e-9 { // 8 of 100, which weigh a fifth
		t.Errorf("%+v", s)
	}
	m.Told("busy;desc=7, disk;dur=1") // over TCP the path stays as it was
	if s := signalsOf(m, 0, 0); s.ServerRTT != 20*ms || s.Cwnd != 65536 || s.Busy != 7 {
		t.Errorf("%+v", s)
	}
	m.Told("sent;desc=1, lost;desc=99") // more lost than sent
	if s := signalsOf(m, 0, 0); s.Loss > 0.2 {
		t.Errorf("loss %v", s.Loss)
	}
	before := signalsOf(m, 0, 0)
	m.Told("garbage")
	if s := signalsOf(m, 0, 0); s != before {
		t.Errorf("garbage changed %+v", s)
	}
}

func TestEjection(t *testing.T) {
	t.Run("doubles with failures in a row", func(t *testing.T) {
		m := &meter{}
		now := time.Duration(0)
		for _, want := range []time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 2000 * ms} {
			m.Failed()
			m.Eject(now, 0)
			if !signalsOf(m, now+want-1, 0).Ejected || signalsOf(m, now+want, 0).Ejected {
				t.Errorf("not ejected for exactly %v", want)
			}
			now += want
		}
		if s := signalsOf(m, now, 0); s.Failures != 5 || s.Errors != 5 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("ends with a success", func(t *testing.T) {
		m := &meter{}
		m.Eject(0, 0)
		m.Succeeded(1)
		if s := signalsOf(m, ms, 0); s.Ejected || s.Failures != 0 || s.Chunks != 1 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("for silence lasts until a packet comes", func(t *testing.T) {
		m := &meter{}
		m.Eject(0, 10)
		if !signalsOf(m, time.Hour, 10).Ejected {
			t.Error("lifted without a packet")
		}
		if signalsOf(m, ms, 11).Ejected {
			t.Error("not lifted by a packet")
		}
		if signalsOf(m, time.Hour, 0).Ejected {
			t.Error("without a connection the pause counts")
		}
	})
	t.Run("ends with a new connection", func(t *testing.T) {
		m := &meter{}
		m.Eject(0, 1000)
		m.connected()
		if signalsOf(m, ms, 5).Ejected {
			t.Error("the new connection's packet count was compared with the old one's")
		}
	})
}
