package contest

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/bench/virtual/site"
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
	// links are those of the hosts, by the scenario's own generator.
	links func(r *rand.Rand, traces []Trace) layout
	// traces says that it needs some.
	traces string
	// vanished is the host that is cut off, and when; 0 for none.
	vanishes, returns time.Duration
}

// layout is what a seed makes of a scenario.
type layout struct {
	hosts      []site.HostConfig
	up, down   virtual.LinkConfig // of a viewer
	slowStores []int              // indexes of hosts whose share of bytes is reported
}

// Scenarios lists them in the order of the table.
func Scenarios() []Scenario {
	even := func(rate, rtt float64) func(*rand.Rand, []Trace) layout {
		return func(r *rand.Rand, _ []Trace) layout { return evenNet(r, rate, rtt, 0) }
	}
	return []Scenario{
		{Name: "healthy", Doc: "three hosts of 50 Mbit/s, 20 ms", links: even(50*mbit, 20)},
		{Name: "lan", Doc: "800 Mbit/s, 1 ms", links: even(800*mbit, 1)},
		{Name: "slow", Doc: "50 Mbit/s, one host of 2.5", links: slowHost},
		{Name: "falls", Doc: "30 Mbit/s, one host falls to 1.5 between 12 and 17 s", links: fallingHost},
		{Name: "flap", Doc: "20 Mbit/s, 30 ms, two hosts 20 and 0.4 every 7 s out of phase", links: flapping(0)},
		{Name: "flap-deep", Doc: "the same with queues of 250 kB", links: flapping(250_000)},
		{Name: "vanish", Doc: "30 Mbit/s, one host's packets dropped from 10 s to 25 s", links: vanishing, vanishes: 10 * time.Second, returns: 25 * time.Second},
		{Name: "loss-1", Doc: "100 Mbit/s, 20 ms, 1 % of packets lost", links: lossy(20, 0.01, 3)},
		{Name: "loss-2", Doc: "100 Mbit/s, 40 ms, 2 % of packets lost", links: lossy(40, 0.02, 3)},
		{Name: "loss-5", Doc: "100 Mbit/s, 20 ms, 5 % on one host of three", links: lossy(20, 0.05, 1)},
		{Name: "loss-1-download", Doc: "loss-1 without a clock", Download: true, links: lossy(20, 0.01, 3)},
		{Name: "loss-2-download", Doc: "loss-2 without a clock", Download: true, links: lossy(40, 0.02, 3)},
		{Name: "rtt-mix", Doc: "40 Mbit/s, 10, 60 and 150 ms", links: rttMix},
		{Name: "ghent", Doc: "traces of 4G in Ghent × 0.5, 40 ms, queue of 200 ms", traces: "ghent-4g", links: traced(0.5)},
		{Name: "fcc", Doc: "traces of fixed lines × 0.6, 40 ms, queue of 200 ms", traces: "fcc-hd", links: traced(0.6)},
		{Name: "walk", Doc: "random walk around 12 Mbit/s with outages", links: walking},
		{Name: "shared", Doc: "one access link of 25 Mbit/s, 30 ms", links: sharedLink(25*mbit, 30)},
		{Name: "shared-download", Doc: "the same without a clock", Download: true, links: sharedLink(25*mbit, 30)},
		{Name: "thin", Doc: "one access link of 8 Mbit/s, 40 ms, a film of 0.8 Mbit/s", Bitrate: 0.8 * mbit, links: sharedLink(8*mbit, 40)},
		{Name: "disk", Doc: "50 Mbit/s, one host takes 0.3 to 0.7 s a read", links: slowDisk},
		{Name: "clients", Doc: "20 viewers of 3 Mbit/s on three hosts of 30 Mbit/s, one gone from 10 s to 25 s", Clients: 20, Bitrate: 3 * mbit, links: vanishingFor(30 * mbit), vanishes: 10 * time.Second, returns: 25 * time.Second},
		{Name: "clients-uneven", Doc: "20 viewers of 3 Mbit/s on hosts of 60, 30 and 30 Mbit/s", Clients: 20, Bitrate: 3 * mbit, links: unevenHosts},
	}
}

// host is a host of two stores whose rate is within a tenth of what is said.
func host(r *rand.Rand, rate, rttMillis, loss float64) site.HostConfig {
	rate *= 0.9 + 0.2*r.Float64()
	delay := time.Duration(rttMillis / 2 * float64(time.Millisecond))
	return site.HostConfig{
		Up:   virtual.LinkConfig{Rate: rate, Queue: int(max(rate/8/10, 16*1280)), Delay: delay, Loss: loss},
		Down: virtual.LinkConfig{Delay: delay}, Stores: 2,
	}
}

func evenNet(r *rand.Rand, rate, rttMillis, loss float64) layout {
	return layout{hosts: []site.HostConfig{host(r, rate, rttMillis, loss), host(r, rate, rttMillis, loss), host(r, rate, rttMillis, loss)}}
}

func slowHost(r *rand.Rand, _ []Trace) layout {
	n := evenNet(r, 50*mbit, 20, 0)
	i := r.IntN(3)
	n.hosts[i] = host(r, 2.5*mbit, 20, 0)
	n.slowStores = []int{i}
	return n
}

func fallingHost(r *rand.Rand, _ []Trace) layout {
	n := evenNet(r, 30*mbit, 20, 0)
	up := &n.hosts[r.IntN(3)].Up
	up.Steps = []virtual.Step{{For: 12 * time.Second, Rate: up.Rate}, {For: 5 * time.Second, Rate: 1.5 * mbit}, {For: time.Hour, Rate: up.Rate}}
	return n
}

func flapping(queue int) func(*rand.Rand, []Trace) layout {
	return func(r *rand.Rand, _ []Trace) layout {
		n := evenNet(r, 20*mbit, 30, 0)
		first := r.IntN(3)
		for k := range 2 {
			up := &n.hosts[(first+k)%3].Up
			up.Steps = []virtual.Step{{For: 7 * time.Second, Rate: up.Rate}, {For: 7 * time.Second, Rate: 0.4 * mbit}}
			up.Offset = time.Duration(k)*7*time.Second + time.Duration(r.Int64N(int64(time.Second)))
		}
		if queue > 0 {
			for i := range n.hosts {
				n.hosts[i].Up.Queue = queue
			}
		}
		return n
	}
}

func vanishing(r *rand.Rand, traces []Trace) layout { return vanishingFor(30*mbit)(r, traces) }

func vanishingFor(rate float64) func(*rand.Rand, []Trace) layout {
	return func(r *rand.Rand, _ []Trace) layout {
		n := evenNet(r, rate, 20, 0)
		i := r.IntN(3)
		h := &n.hosts[i]
		rate := h.Up.Rate
		h.Up.Steps = []virtual.Step{{For: 10 * time.Second, Rate: rate}, {For: 15 * time.Second, Down: true}, {For: time.Hour, Rate: rate}}
		h.Down.Steps = []virtual.Step{{For: 10 * time.Second, Rate: 1000 * mbit}, {For: 15 * time.Second, Down: true}, {For: time.Hour, Rate: 1000 * mbit}}
		n.slowStores = []int{i}
		return n
	}
}

func lossy(rttMillis, loss float64, hosts int) func(*rand.Rand, []Trace) layout {
	return func(r *rand.Rand, _ []Trace) layout {
		n := evenNet(r, 100*mbit, rttMillis, 0)
		first := r.IntN(3)
		for k := range hosts {
			n.hosts[(first+k)%3].Up.Loss = loss
		}
		return n
	}
}

func rttMix(r *rand.Rand, _ []Trace) layout {
	var n layout
	rtts := []float64{10, 60, 150}
	r.Shuffle(3, func(i, k int) { rtts[i], rtts[k] = rtts[k], rtts[i] })
	for _, rtt := range rtts {
		n.hosts = append(n.hosts, host(r, 40*mbit, rtt, 0))
	}
	return n
}

func traced(scale float64) func(*rand.Rand, []Trace) layout {
	return func(r *rand.Rand, traces []Trace) layout {
		n := evenNet(r, 20*mbit, 40, 0)
		for i, k := range r.Perm(len(traces))[:3] {
			up := &n.hosts[i].Up
			up.Steps, up.Offset = traces[k].steps(scale), time.Duration(r.Int64N(int64(traces[k].length())))
			up.Queue = max(int(traces[k].mean()*scale/8/5), 16*1280)
		}
		return n
	}
}

// walking has rates that move by a random factor every half second, back towards their
// middle, with an outage now and then.
func walking(r *rand.Rand, _ []Trace) layout {
	n := evenNet(r, 12*mbit, 40, 0)
	for i := range n.hosts {
		up := &n.hosts[i].Up
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

func sharedLink(rate, rttMillis float64) func(*rand.Rand, []Trace) layout {
	return func(r *rand.Rand, _ []Trace) layout {
		n := evenNet(r, 1000*mbit, rttMillis, 0)
		n.down = virtual.LinkConfig{Rate: rate, Queue: int(rate / 8 / 10)}
		return n
	}
}

func slowDisk(r *rand.Rand, _ []Trace) layout {
	n := evenNet(r, 50*mbit, 20, 0)
	i := r.IntN(3)
	delays := rand.New(rand.NewPCG(r.Uint64(), 4))
	n.hosts[i].Disk = func(int) time.Duration {
		return 300*time.Millisecond + time.Duration(delays.Int64N(int64(400*time.Millisecond)))
	}
	n.slowStores = []int{i}
	return n
}

func unevenHosts(r *rand.Rand, _ []Trace) layout {
	return layout{hosts: []site.HostConfig{host(r, 60*mbit, 20, 0), host(r, 30*mbit, 20, 0), host(r, 30*mbit, 20, 0)}}
}
