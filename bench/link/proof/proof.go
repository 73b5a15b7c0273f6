package proof

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
)

// Config says what to prove.
type Config struct {
	Exe  string   // plays the link's process
	Args []string // with which it does
	// Server is an address of this machine, for relays.
	Server   netip.Addr
	TUN      bool // instead of the relay
	Progress func(string)
}

// Figure is one measurement beside what the link's shape says.
type Figure struct {
	Name string
	Unit string
	Got  float64
	Want float64 // 0: nothing to hold it to
	Off  float64 // share by which it may differ
	Most float64 // 0: no bound
}

const (
	delay = 10 * time.Millisecond
	// queueTime is short enough that a kernel's default windows fill it at 500 Mbit/s.
	queueTime = 20 * time.Millisecond
	// datagram is the payload of a packet of quic-go's first flight; headers make it whole.
	datagram, udpHeaders = 1252, 28
	// spell is how long a rate is measured.
	spell = 1500 * time.Millisecond
	// chance is the share that is lost, or reordered, where that is measured.
	chance = 0.02
)

// Run measures a link of a rate, in bits a second.
func Run(cfg Config, rate float64) (_ []Figure, err error) {
	p, err := start(cfg.Exe, cfg.Args)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	usual := shape.Shape{Delay: delay, Rate: rate, Queue: int(rate / 8 * queueTime.Seconds())}
	random := usual
	random.Loss, random.Reorder = chance, chance
	var out []Figure
	for _, m := range []struct {
		name  string
		shape shape.Shape
		tcp   bool
		run   func(*ends, shape.Shape) ([]Figure, error)
	}{
		{"UDP, delay", usual, false, udpDelay},
		{"UDP, rate and queue", usual, false, udpRate},
		{"UDP, chance", random, false, udpChance},
		{"TCP, delay", usual, true, tcpDelay},
		{"TCP, rate and queue", usual, true, tcpRate},
		{"TCP, chance", shape.Shape{Delay: time.Millisecond, Rate: rate, Loss: chance, Reorder: chance, HoldBack: time.Millisecond}, true, tcpChance},
	} {
		if m.shape.Loss > 0 && m.tcp && !cfg.TUN {
			continue // a relay refuses it
		}
		cfg.Progress("  " + m.name)
		figures, err := cfg.measure(p, m.shape, m.tcp, m.run)
		if err != nil {
			return nil, fmt.Errorf("%s at %g Mbit/s: %w", m.name, rate/1e6, err)
		}
		out = append(out, figures...)
	}
	return out, nil
}

// measure runs one measurement over a link of its own, and adds what that itself did.
func (c Config) measure(p *process, s shape.Shape, tcp bool, run func(*ends, shape.Shape) ([]Figure, error)) ([]Figure, error) {
	e, err := c.open(p, s, tcp)
	if err != nil {
		return nil, err
	}
	out, err := run(e, s)
	did, rerr := e.close()
	if err := errors.Join(err, rerr); err != nil {
		return nil, err
	}
	if s.Loss > 0 && tcp {
		out = append(out, tcpShares(did.Up)...)
	}
	if len(out) == 0 || did.Up.Packets < 1000 {
		return out, nil // too few to say what one takes
	}
	name := out[0].Name[:len("UDP")]
	packets := float64(did.Up.Packets + did.Down.Packets)
	return append(out,
		Figure{Name: name + ", lateness p50" + of(s), Unit: "µs", Got: max(did.Up.LateP50, did.Down.LateP50) * 1e6},
		Figure{Name: name + ", lateness p95" + of(s), Unit: "µs", Got: max(did.Up.LateP95, did.Down.LateP95) * 1e6,
			Most: float64(link.MaxLate.Microseconds())},
		Figure{Name: name + ", processor a packet" + of(s), Unit: "µs", Got: did.Processor.Seconds() / packets * 1e6},
	), nil
}

func of(s shape.Shape) string {
	if s.Loss > 0 {
		return ", with loss"
	}
	return ""
}

// median of durations, in milliseconds.
func median(ds []time.Duration) float64 { return quantile(ds, 0.5) }

func quantile(ds []time.Duration, q float64) float64 {
	if len(ds) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(ds))
	return s[int(q*float64(len(s)-1))].Seconds() * 1e3
}
