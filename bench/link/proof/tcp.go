package proof

import (
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
)

// pings sends a byte and waits for its echo, again and again for a time.
func pings(e *ends, span, pause time.Duration) ([]time.Duration, error) {
	c, far, err := e.dialTCP(0)
	if err != nil {
		return nil, err
	}
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		_, _ = io.Copy(far, far) // until the sender has gone
		_ = far.Close()
	}()
	defer func() { _ = c.Close(); <-echoed }()
	var rtts []time.Duration
	buf := make([]byte, 1)
	for began := time.Now(); time.Since(began) < span; {
		sent := time.Now()
		if _, err := c.Write(buf); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			return nil, err
		}
		rtts = append(rtts, time.Since(sent))
		time.Sleep(pause)
	}
	return rtts, nil
}

func tcpDelay(e *ends, s shape.Shape) ([]Figure, error) {
	rtts, err := pings(e, 600*time.Millisecond, 2*time.Millisecond)
	if err != nil {
		return nil, err
	}
	const small = (52 + 1) * 8 * 2 // bits of a word there and back
	want := 2*s.Delay.Seconds()*1e3 + small/s.Rate*1e3
	return []Figure{{Name: "TCP, round trip", Unit: "ms", Got: median(rtts), Want: want, Off: 0.1}}, nil
}

// bulk sends as fast as TCP does for a time, and returns the bytes that came in its second
// half, the length of that half, and what the sender's kernel says.
func bulk(e *ends, span time.Duration, segment int) (bytes int64, half time.Duration, info *unix.TCPInfo, err error) {
	c, far, err := e.dialTCP(segment)
	if err != nil {
		return 0, 0, nil, err
	}
	began := time.Now()
	var wg sync.WaitGroup
	var from time.Time
	wg.Go(func() {
		defer far.Close()
		buf := make([]byte, 256<<10)
		var last time.Time
		for {
			n, err := far.Read(buf)
			if now := time.Now(); n > 0 && now.Sub(began) > span/2 && now.Sub(began) < span {
				if from.IsZero() {
					from = now // what came with it came before
				} else {
					bytes, last = bytes+int64(n), now
				}
			}
			if err != nil {
				half = last.Sub(from)
				return
			}
		}
	})
	_ = c.SetWriteDeadline(began.Add(span))
	buf := make([]byte, 64<<10)
	for werr := error(nil); werr == nil; {
		_, werr = c.Write(buf) // until the deadline
	}
	if raw, rerr := c.SyscallConn(); rerr == nil {
		rerr = raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		err = errors.Join(err, rerr)
	}
	_ = c.SetLinger(0) // what is under way is of no use
	_ = c.Close()
	_ = far.SetReadDeadline(time.Now().Add(2 * time.Second))
	wg.Wait()
	return bytes, half, info, err
}

// tcpRate fills the link with one connection, and feels its queue with another.
func tcpRate(e *ends, s shape.Shape) ([]Figure, error) {
	type felt struct {
		rtts []time.Duration
		err  error
	}
	ping := make(chan felt, 1)
	go func() {
		rtts, err := pings(e, 2*spell, 5*time.Millisecond)
		ping <- felt{rtts, err}
	}()
	bytes, half, _, err := bulk(e, 2*spell, 0)
	loaded := <-ping
	if err != nil {
		return nil, err
	}
	if loaded.err != nil {
		return nil, loaded.err
	}
	const payload, whole = 1448, 1500
	return []Figure{
		{Name: "TCP, rate", Unit: "Mbit/s", Got: float64(bytes) * 8 * whole / payload / half.Seconds() / 1e6, Want: s.Rate / 1e6, Off: 0.03},
		{Name: "TCP, round trip with a full queue, p90", Unit: "ms", Got: quantile(loaded.rtts, 0.9), Want: (2*s.Delay + queueTime).Seconds() * 1e3, Off: 0.15},
	}, nil
}

// tcpChance has the sender's kernel count what it had to send again.
func tcpChance(e *ends, s shape.Shape) ([]Figure, error) {
	_, _, info, err := bulk(e, 2*spell, 536)
	if err != nil {
		return nil, err
	}
	return []Figure{{Name: "TCP, sent again of 1,000 by the kernel", Unit: "packets", Got: float64(info.Total_retrans) / float64(info.Data_segs_out) * 1e3, Want: 0, Off: 0}}, nil
}

// tcpShares is what the link did to the packets of tcpChance.
func tcpShares(up link.Counts) []Figure {
	sent := float64(up.Packets + up.Lost + up.Dropped)
	return []Figure{
		{Name: "TCP, lost of 1,000", Unit: "packets", Got: float64(up.Lost) / sent * 1e3, Want: chance * 1e3, Off: 0.2},
		{Name: "TCP, overtaken of 1,000 that passed", Unit: "packets", Got: float64(up.Overtaken) / float64(up.Packets) * 1e3, Want: chance * 1e3, Off: 0.2},
	}
}
