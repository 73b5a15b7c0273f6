package proof

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

// arrival is a datagram that came.
type arrival struct {
	serial int
	at     time.Time
	took   time.Duration
	bytes  int
}

// stamped begins a datagram: which it is, and when it was sent.
func stamped(p []byte, serial int, began time.Time) {
	binary.BigEndian.PutUint64(p, uint64(serial))
	binary.BigEndian.PutUint64(p[8:], uint64(time.Since(began)))
}

// received takes datagrams until none has come for a time.
func received(c *net.UDPConn, began time.Time, quiet time.Duration) <-chan []arrival {
	done := make(chan []arrival, 1)
	go func() {
		var all []arrival
		buf := make([]byte, 1<<16)
		for {
			_ = c.SetReadDeadline(time.Now().Add(quiet))
			n, err := c.Read(buf)
			if err != nil {
				done <- all
				return
			}
			since := time.Since(began)
			all = append(all, arrival{
				serial: int(binary.BigEndian.Uint64(buf)), at: began.Add(since), bytes: n + udpHeaders,
				took: since - time.Duration(binary.BigEndian.Uint64(buf[8:])),
			})
		}
	}()
	return done
}

// behind is how much a sender that was held up sends at once: less than a queue holds.
const behind = queueTime / 2

// offer sends n datagrams of a payload at a rate of whole packets, in bursts of a
// millisecond, and waits for all that come.
func offer(e *ends, n, payload int, rate float64) ([]arrival, error) {
	c, err := e.dialUDP()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetWriteBuffer(4 << 20)
	began := time.Now()
	got := received(e.udp, began, time.Second)
	each := time.Duration(float64(payload+udpHeaders) * 8 / rate * 1e9)
	burst := make([]byte, 0, 1<<16)
	next := began
	for sent := 0; sent < n; {
		ahead := time.Until(next)
		time.Sleep(ahead)
		next = next.Add(max(0, -ahead-behind))
		k := min(n-sent, max(1, int(time.Millisecond/each)), 60_000/payload, 60)
		burst = burst[:k*payload]
		for i := range k {
			stamped(burst[i*payload:], sent+i, began)
		}
		if err := link.WriteTogether(c, burst, payload); err != nil {
			return nil, err
		}
		sent, next = sent+k, next.Add(time.Duration(k)*each)
	}
	all := <-got
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: none of %d datagrams came", vstack.ErrUnavailable, n)
	}
	return all, nil
}

func udpDelay(e *ends, s shape.Shape) ([]Figure, error) {
	all, err := offer(e, 300, datagram, min(s.Rate/2, (datagram+udpHeaders)*8*500)) // one each 2 ms
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for _, a := range all {
		took = append(took, a.took)
	}
	want := s.Delay.Seconds()*1e3 + (datagram+udpHeaders)*8/s.Rate*1e3
	return []Figure{{Name: "UDP, delay", Unit: "ms", Got: median(took), Want: want, Off: 0.1}}, nil
}

// udpRate offers half as much again as the link carries: the queue is full, and what
// comes is at the link's rate.
func udpRate(e *ends, s shape.Shape) ([]Figure, error) {
	offered := 1.5 * s.Rate
	n := int(offered * spell.Seconds() / ((datagram + udpHeaders) * 8))
	all, err := offer(e, n, datagram, offered)
	if err != nil {
		return nil, err
	}
	// The second half: what the queue took at first has passed.
	half := all[len(all)/2:]
	var bytes int
	var took []time.Duration
	for _, a := range half[1:] {
		bytes += a.bytes
	}
	for _, a := range half[:len(half)/2] { // while more was offered
		took = append(took, a.took)
	}
	span := half[len(half)-1].at.Sub(half[0].at).Seconds()
	want := (s.Delay + queueTime).Seconds() * 1e3
	return []Figure{
		{Name: "UDP, rate", Unit: "Mbit/s", Got: float64(bytes) * 8 / span / 1e6, Want: s.Rate / 1e6, Off: 0.02},
		{Name: "UDP, delay with a full queue", Unit: "ms", Got: median(took), Want: want, Off: 0.1},
	}, nil
}

// udpChance counts what is lost and what is overtaken, of small packets, which are many.
func udpChance(e *ends, s shape.Shape) ([]Figure, error) {
	const n, payload = 16_000, 100
	all, err := offer(e, n, payload, min(s.Rate*0.8, 20e6))
	if err != nil {
		return nil, err
	}
	overtaken, last := 0, -1
	for _, a := range all {
		if a.serial < last {
			overtaken++
		}
		last = max(last, a.serial)
	}
	return []Figure{
		{Name: "UDP, lost of 1,000", Unit: "packets", Got: float64(n-len(all)) / n * 1e3, Want: s.Loss * 1e3, Off: 0.2},
		{Name: "UDP, overtaken of 1,000 that came", Unit: "packets", Got: float64(overtaken) / float64(len(all)) * 1e3, Want: s.Reorder * 1e3, Off: 0.2},
	}, nil
}
