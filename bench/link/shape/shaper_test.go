package shape

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const packet = 1280

// sent pushes n packets of a size at a pace and takes out what arrives, in virtual time.
func sent(t *testing.T, p Plan, n, size int, every time.Duration, dice *rand.Rand) (out []Due[int], fates map[Fate]int) {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	s := New[int](p, 1, 0)
	fates = map[Fate]int{}
	for i := range n {
		at := time.Duration(i) * every
		for next := s.Next(); next <= at; next = s.Next() {
			out = s.Pop(next, out)
		}
		fates[s.Push(at, size, dice, i)]++
	}
	for next := s.Next(); next < Forever; next = s.Next() {
		out = s.Pop(next, out)
	}
	if got := len(out); got != fates[Taken]+fates[Overtaken] {
		t.Fatalf("%d of %d taken packets arrived", got, fates[Taken])
	}
	return out, fates
}

func dice() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestDelayIsAddedToEveryPacket(t *testing.T) {
	out, _ := sent(t, Always(Shape{Delay: 30 * time.Millisecond}), 100, packet, time.Millisecond, dice())
	for i, d := range out {
		if want := time.Duration(i+30) * time.Millisecond; d.Packet != i || d.At != want {
			t.Fatalf("packet %d at %v, want %d at %v", d.Packet, d.At, i, want)
		}
	}
}

func TestRateSpacesPackets(t *testing.T) {
	for _, rate := range []float64{10e6, 50e6, 500e6} {
		// All at once, as a sender with segmentation offload would.
		out, _ := sent(t, Always(Shape{Rate: rate, Queue: 1 << 30, Delay: time.Millisecond}), 5000, packet, 0, dice())
		want := time.Duration(5000*packet*8/rate*1e9) + time.Millisecond
		if got := out[len(out)-1].At; (got - want).Abs() > 5*time.Microsecond {
			t.Errorf("%v bit/s: the last of 5000 packets at %v, want %v", rate, got, want)
		}
	}
}

func TestAFullQueueDropsWhatComesLast(t *testing.T) {
	// One is leaving at 1.024 ms, nine wait: what comes beyond is dropped.
	out, fates := sent(t, Always(Shape{Rate: 10e6, Queue: 10 * packet}), 15, packet, 0, dice())
	if fates[Taken] != 10 || fates[Dropped] != 5 || out[9].Packet != 9 {
		t.Errorf("fates %v, last %d", fates, out[9].Packet)
	}
	// Offered twice what fits, half is dropped and the queue's delay is its size at the rate.
	out, fates = sent(t, Always(Shape{Rate: 10e6, Queue: 100 * packet}), 4000, packet, 512*time.Microsecond, dice())
	if got := float64(fates[Dropped]) / 4000; math.Abs(got-0.5) > 0.03 {
		t.Errorf("dropped %.3f of twice the rate", got)
	}
	last := out[len(out)-1]
	if wait, full := last.At-time.Duration(last.Packet)*512*time.Microsecond, 100*packet*8*100*time.Nanosecond; wait > full || wait < full*98/100 {
		t.Errorf("the last packet waited %v in a queue of %v", wait, full)
	}
	// A packet larger than the queue passes alone.
	if _, fates = sent(t, Always(Shape{Rate: 10e6, Queue: 100}), 3, packet, time.Second, dice()); fates[Taken] != 3 {
		t.Errorf("fates %v", fates)
	}
}

func TestLossAndReorderingAreDrawn(t *testing.T) {
	const n = 20_000
	_, fates := sent(t, Always(Shape{Loss: 0.02}), n, packet, time.Millisecond, dice())
	if sd := math.Sqrt(0.02 * 0.98 * n); math.Abs(float64(fates[Lost])-0.02*n) > 4*sd {
		t.Errorf("lost %d of %d at 2 %%", fates[Lost], n)
	}
	if _, fates = sent(t, Always(Shape{Loss: 1}), 10, packet, 0, nil); fates[Taken] != 10 {
		t.Errorf("without dice %v", fates)
	}
	out, fates := sent(t, Always(Shape{Delay: 20 * time.Millisecond, Reorder: 0.05, HoldBack: 5500 * time.Microsecond}), n, packet, time.Millisecond, dice())
	late := 0
	for i, d := range out {
		sentAt := time.Duration(d.Packet) * time.Millisecond
		switch d.At - sentAt {
		case 20 * time.Millisecond:
		case 25500 * time.Microsecond:
			late++
			overtook := func(o Due[int]) bool { return o.Packet > d.Packet }
			if d.Packet < n-10 && !slices.ContainsFunc(out[max(0, i-5):i], overtook) {
				t.Fatalf("packet %d was not overtaken", d.Packet)
			}
		default:
			t.Fatalf("packet %d took %v", d.Packet, d.At-sentAt)
		}
	}
	if sd := math.Sqrt(0.05 * 0.95 * n); math.Abs(float64(late)-0.05*n) > 4*sd || late != fates[Overtaken] {
		t.Errorf("%d of %d held back at 5 %%", late, n)
	}
}

func TestJitterKeepsOrderAndItsMean(t *testing.T) {
	for _, jitter := range []time.Duration{time.Millisecond, 15 * time.Millisecond, 40 * time.Millisecond} {
		const delay = 50 * time.Millisecond
		out, _ := sent(t, Always(Shape{Delay: delay, Jitter: jitter}), 200_000, packet, 500*time.Microsecond, dice())
		var delays []time.Duration
		var sum time.Duration
		for i, d := range out {
			if d.Packet != i {
				t.Fatalf("%v: packet %d came as number %d", jitter, d.Packet, i)
			}
			d := d.At - time.Duration(i)*500*time.Microsecond
			delays, sum = append(delays, d), sum+d
		}
		slices.Sort(delays)
		if low, high := delays[0], delays[len(delays)-1]; low < delay-jitter || high > delay+jitter || high-low < jitter*3/2 {
			t.Errorf("%v: delays from %v to %v", jitter, low, high)
		}
		if mean := sum / time.Duration(len(delays)); (mean - delay).Abs() > jitter/20 {
			t.Errorf("%v: mean delay %v", jitter, mean)
		}
	}
}

func TestPhasesFollowEachOther(t *testing.T) {
	// 10 Mbit/s for 100 ms, nothing for 50, 5 Mbit/s for 50: 1.25 Mbit in 200 ms.
	p := Plan{Loop: true, Phases: []Phase{
		{For: 100 * time.Millisecond, Shape: Shape{Rate: 10e6, Queue: 1 << 30}},
		{For: 50 * time.Millisecond, Shape: Shape{Hold: true, Queue: 1 << 30}},
		{For: 50 * time.Millisecond, Shape: Shape{Rate: 5e6, Queue: 1 << 30}},
	}}
	if got := p.MeanRate(); got != 6.25e6 {
		t.Errorf("mean rate %v", got)
	}
	out, _ := sent(t, p, 10_000, packet, 0, dice())
	if got, want := out[len(out)-1].At.Seconds(), 10_000*packet*8/6.25e6; math.Abs(got-want) > 0.1 {
		t.Errorf("the last of 10,000 packets at %.3f s, want about %.3f", got, want)
	}
	for _, d := range out {
		if into := d.At % (200 * time.Millisecond); into > 100*time.Millisecond && into < 150*time.Millisecond {
			t.Fatalf("packet %d left at %v, while the link held", d.Packet, d.At)
		}
	}
	// The last phase of a plan that does not loop stays.
	p = Plan{Phases: []Phase{{For: time.Second, Shape: Shape{}}, {Shape: Shape{Down: true}}}}
	_, fates := sent(t, p, 3000, packet, time.Millisecond, dice())
	if fates[Taken] != 1000 || fates[Lost] != 2000 {
		t.Errorf("fates %v", fates)
	}
}

func TestAChangedPlanHoldsForWhatWaits(t *testing.T) {
	s := New[int](Always(Shape{Rate: 8e6, Queue: 1 << 20}), 1, 0)
	for i := range 4 {
		s.Push(0, 1000, dice(), i) // one a millisecond
	}
	s.SetPlan(1500*time.Microsecond, Always(Shape{Hold: true, Queue: 1 << 20}))
	if got := s.Pop(time.Second, nil); len(got) != 1 || got[0].At != time.Millisecond {
		t.Fatalf("before the hold %v", got)
	}
	if next := s.Next(); next != Forever {
		t.Errorf("a held packet is due at %v", next)
	}
	// Half of the second packet had left; the rest goes at twice the rate.
	s.SetPlan(2*time.Second, Always(Shape{Rate: 16e6, Queue: 1 << 20, Delay: time.Second}))
	got := s.Pop(4*time.Second, nil)
	want := []time.Duration{3000250 * time.Microsecond, 3000750 * time.Microsecond, 3001250 * time.Microsecond}
	if len(got) != 3 || got[0].At != want[0] || got[1].At != want[1] || got[2].At != want[2] {
		t.Errorf("got %v, want %v", got, want)
	}
	// Without a limit, all that waits is due at once.
	s.SetPlan(5*time.Second, Always(Shape{Hold: true}))
	s.Push(5*time.Second, 1000, nil, 9)
	s.SetPlan(6*time.Second, Always(Shape{}))
	if got := s.Pop(6*time.Second, nil); len(got) != 1 || got[0].At != 6*time.Second {
		t.Errorf("after the hold %v", got)
	}
}

func TestWhatMustNotVanishIsToldToWait(t *testing.T) {
	s := New[int](Plan{Phases: []Phase{{For: time.Second, Shape: Shape{Down: true}}, {Shape: Shape{Rate: 8e6, Queue: 2000}}}}, 1, 0)
	if ok, when := s.Fits(0, 1000); ok || when != time.Second {
		t.Errorf("down: %v, %v", ok, when)
	}
	for i := range 2 {
		if ok, _ := s.Fits(time.Second, 1000); !ok || s.Push(time.Second, 1000, nil, i) != Taken {
			t.Fatalf("packet %d does not fit", i)
		}
	}
	if ok, when := s.Fits(time.Second, 1000); ok || when != 1001*time.Millisecond {
		t.Errorf("full: %v, %v", ok, when)
	}
	if ok, _ := s.Fits(1001*time.Millisecond, 1000); !ok {
		t.Error("still full when one has left")
	}
	if bytes, n := s.Queued(1001 * time.Millisecond); bytes != 1000 || n != 2 {
		t.Errorf("%d bytes wait, %d packets are under way", bytes, n)
	}
}

func TestSameSeedSameFate(t *testing.T) {
	run := func() []Due[int] {
		out, _ := sent(t, Always(Shape{Delay: 20 * time.Millisecond, Jitter: 8 * time.Millisecond, Rate: 20e6, Loss: 0.03, Reorder: 0.02}), 5000, packet, 600*time.Microsecond, dice())
		return out
	}
	if !slices.Equal(run(), run()) {
		t.Error("two runs of one seed differ")
	}
}

func TestShapesThatMeanNothingAreRefused(t *testing.T) {
	for name, p := range map[string]Plan{
		"no phases":                {},
		"more jitter than delay":   Always(Shape{Delay: 1, Jitter: 2}),
		"a loss above 1":           Always(Shape{Loss: 1.5}),
		"a loss that is no number": Always(Shape{Loss: math.NaN()}),
		"a rate without end":       Always(Shape{Rate: math.Inf(1)}),
		"a negative queue":         Always(Shape{Queue: -1}),
		"a phase without length":   {Loop: true, Phases: []Phase{{}}},
	} {
		if err := p.Validate(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
