package storm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/link/shape"
)

// Blow is a fault of one host, which takes it out of service, wholly or nearly.
type Blow string

const (
	Crash    Blow = "Crash"     // SIGKILL
	Still    Blow = "Still"     // SIGSTOP
	CutOff   Blow = "cut"       // its packets are dropped, both ways or one
	SlowDisk Blow = "slow disk" // of its Raft log
	FullDisk Blow = "full disk" // of its Raft log
	NoMemory Blow = "no memory" // more than it cannot do without
)

var blows = []Blow{Crash, Still, CutOff, SlowDisk, FullDisk, NoMemory}

const (
	// A blow comes after links have been bad for a time, and lasts.
	maxLead                = 2 * time.Second
	minBlow, maxBlow       = 500 * time.Millisecond, 15 * time.Second
	minLink, maxLink       = 2 * time.Second, 20 * time.Second
	minRate, maxRate       = 10e6, 200e6 // bits a second
	maxDelay               = 20 * time.Millisecond
	maxLoss, maxOvertaking = 0.03, 0.01
)

// Storm is what a repetition of chaos does. Hosts are by their number.
type Storm struct {
	Victim int
	Blow   Blow
	After  time.Duration // of the repetition's begin
	For    time.Duration
	Cut    Cut
	Links  []Gust
}

// Gust is a bad link of one host for a time.
type Gust struct {
	Host  int
	For   time.Duration
	Shape shape.Shape // of either direction
}

// Draw is the storm of a seed and a repetition: one host is struck, so that a
// majority is left, and any may have a bad link meanwhile.
func Draw(seed uint64, n, hosts int) Storm {
	dice := rand.New(rand.NewPCG(seed, uint64(n)))
	// Log-uniform, as many short ones as long ones.
	draw := func(least, most float64) float64 { return least * math.Pow(most/least, dice.Float64()) }
	span := func(least, most time.Duration) time.Duration {
		return time.Duration(draw(float64(least), float64(most))).Round(time.Millisecond)
	}
	st := Storm{
		Victim: dice.IntN(hosts), Blow: blows[dice.IntN(len(blows))],
		After: time.Duration(dice.Int64N(int64(maxLead))).Round(time.Millisecond), For: span(minBlow, maxBlow),
	}
	st.Cut = [...]Cut{{Sends: true, Receives: true}, {Sends: true}, {Receives: true}}[dice.IntN(3)]
	st.Cut.Clients = dice.IntN(2) == 0
	for i := range hosts {
		bad := dice.IntN(2) == 0
		g := Gust{Host: i, For: span(minLink, maxLink), Shape: shape.Shape{
			Rate: math.Round(draw(minRate, maxRate)), Delay: time.Duration(dice.Int64N(int64(maxDelay))).Round(time.Microsecond),
			Loss: dice.Float64() * maxLoss, Reorder: dice.Float64() * maxOvertaking,
		}}
		g.Shape.Jitter = g.Shape.Delay / 4
		if bad {
			st.Links = append(st.Links, g)
		}
	}
	return st
}

func (g Gust) String() string {
	return fmt.Sprintf("%.0f Mbit/s, %s ± %s, %.1f %% lost", g.Shape.Rate/1e6, report.Seconds(g.Shape.Delay.Seconds()),
		report.Seconds(g.Shape.Jitter.Seconds()), g.Shape.Loss*100)
}

func (st Storm) String() string {
	parts := []string{fmt.Sprintf("h%d: %s for %s after %s", st.Victim+1, st.Blow, report.Seconds(st.For.Seconds()), report.Seconds(st.After.Seconds()))}
	for _, g := range st.Links {
		parts = append(parts, fmt.Sprintf("h%d: %v for %s", g.Host+1, g, report.Seconds(g.For.Seconds())))
	}
	return strings.Join(parts, "; ")
}

// Cut says what is dropped: what the host sends, or receives, or both; from the other
// hosts, or from the clients, too.
type Cut struct{ Sends, Receives, Clients bool }

func (c Cut) String() string {
	switch {
	case !c.Receives:
		return "and cannot send"
	case !c.Sends:
		return "and cannot receive"
	}
	return "both ways"
}
