package scenario

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/vstack/vstack/bench/virtual"
)

const mbit = 1e6

// Scenario is a kind of links, drawn anew for each seed.
type Scenario struct {
	Name string
	Doc  string
	// Clients play at once, each on a host of its own; 0 is one.
	Clients int
	// Download plays without a clock.
	Download bool
	// Bitrate replaces the one that was asked for; 0 leaves it.
	Bitrate float64
	// Typed says that what a person waits who types the command is measured as well, where the
	// hosts are real.
	Typed bool
	// SlowDisk says that reads of a host take long.
	SlowDisk bool
	// Traces is the folder of those that it needs; empty for none.
	Traces string
	// Vanishes and Returns are when the first of the layout's slow hosts is cut off and
	// comes back; 0 for never.
	Vanishes, Returns time.Duration

	links func(r *rand.Rand, traces []Trace) Layout
}

// Host is the link of a host with stores.
type Host struct {
	Up, Down virtual.LinkConfig
	// Disk is how long a read of n bytes takes; nil for no time.
	Disk func(n int) time.Duration
}

// Layout is what a seed makes of a scenario.
type Layout struct {
	Hosts    []Host
	Up, Down virtual.LinkConfig // of a viewer
	Slow     []int              // indexes of hosts whose share of bytes is reported
}

// Draw makes the links of one seed. What else is drawn of the seed comes from r, too.
func (s Scenario) Draw(r *rand.Rand, traces []Trace) Layout { return s.links(r, traces) }

// Rand is where a seed's links come from.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// Virtual reports whether no real hosts and one viewer's machine can be given such links.
func (s Scenario) Virtual() bool { return s.Clients > 1 || s.SlowDisk }

// All lists them in the order of the table.
func All() []Scenario {
	even := func(rate, rtt float64) func(*rand.Rand, []Trace) Layout {
		return func(r *rand.Rand, _ []Trace) Layout { return evenNet(r, rate, rtt, 0) }
	}
	return []Scenario{
		{Name: "healthy", Doc: "three hosts of 50 Mbit/s, 20 ms", links: even(50*mbit, 20)},
		{Name: "lan", Doc: "800 Mbit/s, 1 ms", links: even(800*mbit, 1)},
		{Name: "slow", Doc: "50 Mbit/s, one host of 2.5", links: slowHost},
		{Name: "falls", Doc: "30 Mbit/s, one host falls to 1.5 between 12 and 17 s", links: fallingHost},
		{Name: "flap", Doc: "20 Mbit/s, 30 ms, two hosts 20 and 0.4 every 7 s out of phase", links: flapping(0)},
		{Name: "flap-deep", Doc: "the same with queues of 250 kB", links: flapping(250_000)},
		{Name: "vanish", Doc: "30 Mbit/s, one host's packets dropped from 10 s to 25 s", links: vanishing, Vanishes: 10 * time.Second, Returns: 25 * time.Second},
		{Name: "loss-1", Doc: "100 Mbit/s, 20 ms, 1 % of packets lost", links: lossy(20, 0.01, 3)},
		{Name: "loss-2", Doc: "100 Mbit/s, 40 ms, 2 % of packets lost", links: lossy(40, 0.02, 3)},
		{Name: "loss-5", Doc: "100 Mbit/s, 20 ms, 5 % on one host of three", links: lossy(20, 0.05, 1)},
		{Name: "loss-1-download", Doc: "loss-1 without a clock", Download: true, links: lossy(20, 0.01, 3)},
		{Name: "loss-2-download", Doc: "loss-2 without a clock", Download: true, links: lossy(40, 0.02, 3)},
		{Name: "rtt-mix", Doc: "40 Mbit/s, 10, 60 and 150 ms", links: rttMix},
		{Name: "ghent", Doc: "traces of 4G in Ghent × 0.5, 40 ms, queue of 200 ms", Traces: "ghent-4g", links: traced(0.5)},
		{Name: "fcc", Doc: "traces of fixed lines × 0.6, 40 ms, queue of 200 ms", Traces: "fcc-hd", links: traced(0.6)},
		{Name: "walk", Doc: "random walk around 12 Mbit/s with outages", links: walking},
		{Name: "shared", Doc: "one access link of 25 Mbit/s, 30 ms", links: sharedLink(25*mbit, 30)},
		{Name: "shared-download", Doc: "the same without a clock", Download: true, links: sharedLink(25*mbit, 30)},
		{Name: "thin", Typed: true, Doc: "one access link of 8 Mbit/s, 40 ms, a film of 0.8 Mbit/s", Bitrate: 0.8 * mbit, links: sharedLink(8*mbit, 40)},
		{Name: "disk", Doc: "50 Mbit/s, one host takes 0.3 to 0.7 s a read", SlowDisk: true, links: slowDisk},
		{Name: "clients", Doc: "20 viewers of 3 Mbit/s on three hosts of 30 Mbit/s, one gone from 10 s to 25 s", Clients: 20, Bitrate: 3 * mbit, links: vanishingFor(30 * mbit), Vanishes: 10 * time.Second, Returns: 25 * time.Second},
		{Name: "clients-uneven", Doc: "20 viewers of 3 Mbit/s on hosts of 60, 30 and 30 Mbit/s", Clients: 20, Bitrate: 3 * mbit, links: unevenHosts},
	}
}

// host is a host of two stores whose rate is within a tenth of what is said.
func host(r *rand.Rand, rate, rttMillis, loss float64) Host {
	rate *= 0.9 + 0.2*r.Float64()
	delay := time.Duration(rttMillis / 2 * float64(time.Millisecond))
	return Host{
		Up:   virtual.LinkConfig{Rate: rate, Queue: int(max(rate/8/10, 16*1280)), Delay: delay, Loss: loss},
		Down: virtual.LinkConfig{Delay: delay},
	}
}

func evenNet(r *rand.Rand, rate, rttMillis, loss float64) Layout {
	return Layout{Hosts: []Host{host(r, rate, rttMillis, loss), host(r, rate, rttMillis, loss), host(r, rate, rttMillis, loss)}}
}

func slowHost(r *rand.Rand, _ []Trace) Layout {
	n := evenNet(r, 50*mbit, 20, 0)
	i := r.IntN(3)
	n.Hosts[i] = host(r, 2.5*mbit, 20, 0)
	n.Slow = []int{i}
	return n
}

func fallingHost(r *rand.Rand, _ []Trace) Layout {
	n := evenNet(r, 30*mbit, 20, 0)
	up := &n.Hosts[r.IntN(3)].Up
	up.Steps = []virtual.Step{{For: 12 * time.Second, Rate: up.Rate}, {For: 5 * time.Second, Rate: 1.5 * mbit}, {For: time.Hour, Rate: up.Rate}}
	return n
}

func flapping(queue int) func(*rand.Rand, []Trace) Layout {
	return func(r *rand.Rand, _ []Trace) Layout {
		n := evenNet(r, 20*mbit, 30, 0)
		first := r.IntN(3)
		for k := range 2 {
			up := &n.Hosts[(first+k)%3].Up
			up.Steps = []virtual.Step{{For: 7 * time.Second, Rate: up.Rate}, {For: 7 * time.Second, Rate: 0.4 * mbit}}
			up.Offset = time.Duration(k)*7*time.Second + time.Duration(r.Int64N(int64(time.Second)))
		}
		if queue > 0 {
			for i := range n.Hosts {
				n.Hosts[i].Up.Queue = queue
			}
		}
		return n
	}
}

func vanishing(r *rand.Rand, traces []Trace) Layout { return vanishingFor(30*mbit)(r, traces) }

func vanishingFor(rate float64) func(*rand.Rand, []Trace) Layout {
	return func(r *rand.Rand, _ []Trace) Layout {
		n := evenNet(r, rate, 20, 0)
		i := r.IntN(3)
		h := &n.Hosts[i]
		rate := h.Up.Rate
		h.Up.Steps = []virtual.Step{{For: 10 * time.Second, Rate: rate}, {For: 15 * time.Second, Down: true}, {For: time.Hour, Rate: rate}}
		h.Down.Steps = []virtual.Step{{For: 10 * time.Second, Rate: 1000 * mbit}, {For: 15 * time.Second, Down: true}, {For: time.Hour, Rate: 1000 * mbit}}
		n.Slow = []int{i}
		return n
	}
}

func lossy(rttMillis, loss float64, hosts int) func(*rand.Rand, []Trace) Layout {
	return func(r *rand.Rand, _ []Trace) Layout {
		n := evenNet(r, 100*mbit, rttMillis, 0)
		first := r.IntN(3)
		for k := range hosts {
			n.Hosts[(first+k)%3].Up.Loss = loss
		}
		return n
	}
}

func rttMix(r *rand.Rand, _ []Trace) Layout {
	var n Layout
	rtts := []float64{10, 60, 150}
	r.Shuffle(3, func(i, k int) { rtts[i], rtts[k] = rtts[k], rtts[i] })
	for _, rtt := range rtts {
		n.Hosts = append(n.Hosts, host(r, 40*mbit, rtt, 0))
	}
	return n
}

func traced(scale float64) func(*rand.Rand, []Trace) Layout {
	return func(r *rand.Rand, traces []Trace) Layout {
		n := evenNet(r, 20*mbit, 40, 0)
		for i, k := range r.Perm(len(traces))[:3] {
			up := &n.Hosts[i].Up
			up.Steps, up.Offset = traces[k].steps(scale), time.Duration(r.Int64N(int64(traces[k].length())))
			up.Queue = max(int(traces[k].mean()*scale/8/5), 16*1280)
		}
		return n
	}
}

// walking has rates that move by a random factor every half second, back towards their
// middle, with an outage now and then.
func walking(r *rand.Rand, _ []Trace) Layout {
	n := evenNet(r, 12*mbit, 40, 0)
	for i := range n.Hosts {
		up := &n.Hosts[i].Up
		x := 0.0
		for range 240 {
			x = 0.93*x + 0.35*r.NormFloat64()
			rate := 12 * mbit * math.Exp(x)
			if r.IntN(60) == 0 {
				rate = 0
			}
			up.Steps = append(up.Steps, virtual.Step{For: 500 * time.Millisecond, Rate: rate})
		}
	}
	return n
}

func sharedLink(rate, rttMillis float64) func(*rand.Rand, []Trace) Layout {
	return func(r *rand.Rand, _ []Trace) Layout {
		n := evenNet(r, 1000*mbit, rttMillis, 0)
		n.Down = virtual.LinkConfig{Rate: rate, Queue: int(rate / 8 / 10)}
		return n
	}
}

func slowDisk(r *rand.Rand, _ []Trace) Layout {
	n := evenNet(r, 50*mbit, 20, 0)
	i := r.IntN(3)
	delays := rand.New(rand.NewPCG(r.Uint64(), 4))
	n.Hosts[i].Disk = func(int) time.Duration {
		return 300*time.Millisecond + time.Duration(delays.Int64N(int64(400*time.Millisecond)))
	}
	n.Slow = []int{i}
	return n
}

func unevenHosts(r *rand.Rand, _ []Trace) Layout {
	return Layout{Hosts: []Host{host(r, 60*mbit, 20, 0), host(r, 30*mbit, 20, 0), host(r, 30*mbit, 20, 0)}}
}
