package wire

import (
	"testing"
	"time"
)

func TestServerTiming(t *testing.T) {
	quic := ServerTiming{RTT: 20125 * time.Microsecond, Cwnd: 65536, Sent: 1500, Lost: 3, Busy: 4, Disk: 410 * time.Microsecond}
	const text = "rtt;dur=20.125, cwnd;desc=65536, sent;desc=1500, lost;desc=3, busy;desc=4, disk;dur=0.410"
	t.Run("is written as documented", func(t *testing.T) {
		if got := quic.String(); got != text {
			t.Errorf("got  %s\nwant %s", got, text)
		}
		if got, want := (ServerTiming{Busy: 1}).String(), "busy;desc=1, disk;dur=0.000"; got != want {
			t.Errorf("over TCP: got %s, want %s", got, want)
		}
	})
	t.Run("reads its own form back", func(t *testing.T) {
		if got, ok := ParseServerTiming(text); !ok || got != quic {
			t.Errorf("got %+v, %v", got, ok)
		}
	})
	t.Run("skips what it does not know", func(t *testing.T) {
		got, ok := ParseServerTiming(`cache;desc="hit", busy;desc="7", total;dur=3`)
		if !ok || got != (ServerTiming{Busy: 7}) {
			t.Errorf("got %+v, %v", got, ok)
		}
	})
	t.Run("finds nothing in foreign values", func(t *testing.T) {
		for _, s := range []string{"", "cdn", "rtt;dur=-1", "rtt;dur=NaN", "rtt;dur=1e300", "cwnd;desc=-1", "busy;dur=1"} {
			if got, ok := ParseServerTiming(s); ok {
				t.Errorf("%q gave %+v", s, got)
			}
		}
	})
}

func FuzzParseServerTiming(f *testing.F) {
	f.Add("rtt;dur=20.125, cwnd;desc=65536, sent;desc=1500, lost;desc=3, busy;desc=4, disk;dur=0.410")
	f.Add(`a;desc="x,y", rtt;dur`)
	f.Fuzz(func(t *testing.T, s string) {
		first, ok := ParseServerTiming(s)
		if !ok {
			return
		}
		if first.RTT < 0 || first.Disk < 0 || first.Busy < 0 {
			t.Fatalf("%q gave a negative figure: %+v", s, first)
		}
		if _, ok := ParseServerTiming(first.String()); !ok {
			t.Fatalf("%q: own form %q does not parse", s, first)
		}
	})
}
