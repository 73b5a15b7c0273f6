package raftnode

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

const (
	failoverSlice   = 200 // in `make test`
	failoversBubble = 50  // of one cluster's life
)

// simFault takes the leader away; heal brings the member back.
type simFault struct {
	name string
	on   func(c *simCluster, m *simMember)
	heal func(c *simCluster, m *simMember)
}

func simFaults() []simFault {
	cut := func(out, in bool) simFault {
		return simFault{
			on:   func(c *simCluster, m *simMember) { c.net.isolate(c.address(m.peer.ID), out, in, false) },
			heal: func(c *simCluster, m *simMember) { c.net.isolate(c.address(m.peer.ID), out, in, true) },
		}
	}
	named := func(name string, f simFault) simFault { f.name = name; return f }
	return []simFault{
		{"kill",
			func(c *simCluster, m *simMember) { c.kill(m) },
			func(c *simCluster, m *simMember) { c.start(m) }},
		{"pause", pauseMember, func(c *simCluster, m *simMember) {
			m.run.Load().disk.release()
			c.net.isolate(c.address(m.peer.ID), true, true, true)
		}},
		named("cut", cut(true, true)),
		named("cut of what it sends", cut(true, false)),
		named("cut of what it hears", cut(false, true)),
	}
}

// pauseMember stops what can be stopped of a process without stopping its clock: the
// main loop, in a write that does not return, and all that it sends and hears.
func pauseMember(c *simCluster, m *simMember) {
	r := m.run.Load()
	r.disk.hold()
	c.net.isolate(c.address(m.peer.ID), true, true, false)
	go func() { _ = c.write(r, fmt.Sprintf("at the pause of term %d", r.raft.CurrentTerm())) }()
}

// failovers are what a run measured.
type failovers struct {
	mu    sync.Mutex
	took  map[string][]time.Duration // from the fault to the first write that another member acknowledged
	acked int
	reads int
	terms int
	spent time.Duration // virtual
}

func (f *failovers) add(fault string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took[fault] = append(f.took[fault], d)
}

// life is one cluster that loses its leader n times, under load, in virtual time.
func (f *failovers) life(t *testing.T, n int) {
	began := time.Now()
	c := newSimCluster(t, simOptions{})
	stop := make(chan struct{})
	var load sync.WaitGroup
	for w := range 3 {
		load.Go(func() { c.writeUntil(stop, w) })
	}
	load.Go(func() { c.readUntil(stop) })
	faults := simFaults()
	for i := range n {
		lead := c.await(nil, "a leader")
		// Faults come at any moment, also right after the last.
		time.Sleep(rand.N(400 * time.Millisecond))
		if c.leader(nil) != lead {
			lead = c.await(nil, "a leader")
		}
		fault := faults[rand.IntN(len(faults))]
		at := time.Now()
		fault.on(c, lead)
		next := c.await(lead, "another leader")
		for k := 0; c.write(next.run.Load(), fmt.Sprintf("first after failover %d, try %d", i, k)) != nil; k++ {
			next = c.await(lead, "another leader")
			time.Sleep(time.Millisecond)
		}
		f.add(fault.name, time.Since(at))
		time.Sleep(rand.N(time.Second)) // within what the disk guard allows
		fault.heal(c, lead)
		if t.Failed() {
			break
		}
	}
	close(stop)
	load.Wait()
	c.settle()
	c.log.mu.Lock()
	f.mu.Lock()
	f.acked, f.reads, f.terms = f.acked+len(c.log.acked), f.reads+c.log.reads, f.terms+len(c.log.leaders)
	f.spent += time.Since(began)
	f.mu.Unlock()
	c.log.mu.Unlock()
	c.close()
}

// await waits for a leader other than not, at most a minute of virtual time.
func (c *simCluster) await(not *simMember, what string) *simMember {
	for range 60_000 {
		if m := c.leader(not); m != nil {
			return m
		}
		time.Sleep(time.Millisecond)
	}
	c.t.Fatalf("no %s within a minute", what)
	return nil
}

// settle waits until all members have applied all that was acknowledged, and looks for
// what was lost.
func (c *simCluster) settle() {
	lead := c.await(nil, "a leader")
	if err := c.write(lead.run.Load(), "last"); err != nil {
		lead = c.await(nil, "a leader")
		if err := c.write(lead.run.Load(), "very last"); err != nil {
			c.t.Errorf("write to a healed cluster: %v", err)
		}
	}
	for _, m := range c.members {
		for range 30_000 {
			if m.run.Load().fsm.applied() >= c.log.acknowledged() {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if have := m.run.Load().fsm.applied(); have < c.log.acknowledged() {
			c.t.Errorf("%s has applied %d of %d half a minute after it was healed", m.peer.ID, have, c.log.acknowledged())
		}
	}
	if err := c.log.missing(); err != nil {
		c.t.Error(err)
	}
}

// writeUntil writes to whichever members think that they lead.
func (c *simCluster) writeUntil(stop chan struct{}, w int) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(5*time.Millisecond + rand.N(10*time.Millisecond)):
		}
		for _, m := range c.members {
			if r := m.run.Load(); r != nil {
				_ = c.write(r, fmt.Sprintf("%d of writer %d to %s", n, w, m.peer.ID)) // refused, or unknown
			}
		}
	}
}

// readUntil reads from every member, those that were deposed and do not know it included.
func (c *simCluster) readUntil(stop chan struct{}) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-stop:
			return
		case <-time.After(rand.N(20 * time.Millisecond)):
		}
		for _, m := range c.members {
			r := m.run.Load()
			if r == nil {
				continue
			}
			wg.Go(func() {
				err := c.read(r)
				c.log.mu.Lock()
				defer c.log.mu.Unlock()
				if err == nil {
					c.log.reads++
				} else {
					c.log.refused++
				}
			})
		}
	}
}

func (f *failovers) String() string {
	var b strings.Builder
	all := []time.Duration{}
	line := func(name string, ds []time.Duration) {
		slices.Sort(ds)
		q := func(p float64) time.Duration { return ds[int(p*float64(len(ds)-1))].Round(time.Millisecond) }
		fmt.Fprintf(&b, "%-22s %5d: min %s p50 %s p90 %s p99 %s max %s\n", name, len(ds), q(0), q(0.5), q(0.9), q(0.99), q(1))
	}
	for _, fault := range simFaults() {
		if ds := f.took[fault.name]; len(ds) > 0 {
			line(fault.name, ds)
			all = append(all, ds...)
		}
	}
	line("all", all)
	fmt.Fprintf(&b, "%d writes acknowledged, %d linearizable reads, %d terms, %s of virtual time", f.acked, f.reads, f.terms, f.spent.Round(time.Second))
	return b.String()
}

// TestFailoversInVirtualTime takes the leader away from clusters of three with the
// product's configuration and wrappers: VSTACK_SIM_FAILOVERS times, or a slice of that.
func TestFailoversInVirtualTime(t *testing.T) {
	want := failoverSlice
	if v := os.Getenv("VSTACK_SIM_FAILOVERS"); v != "" {
		var err error
		if want, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	} else if os.Getenv("VSTACK_SOAK") != "" {
		want = 5000
	}
	f := &failovers{took: map[string][]time.Duration{}}
	t.Run("lives", func(t *testing.T) {
		for left := want; left > 0; left -= failoversBubble {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { f.life(t, min(left, failoversBubble)) })
			})
		}
	})
	t.Logf("failovers of three members, heartbeat and election 250 ms, lease 200 ms:\n%s", f)
	var all []time.Duration
	for _, ds := range f.took {
		all = append(all, ds...)
	}
	slices.Sort(all)
	if len(all) != want {
		t.Fatalf("%d failovers, want %d", len(all), want)
	}
	half, most := 600*time.Millisecond, 1200*time.Millisecond
	if want < 1000 { // too few to be strict with
		half, most = 700*time.Millisecond, 1500*time.Millisecond
	}
	if p50 := all[len(all)/2]; p50 > half {
		t.Errorf("half of the failovers took more than %s, want %s", p50, half)
	}
	if p99 := all[len(all)*99/100]; p99 > most {
		t.Errorf("a hundredth of the failovers took more than %s, want %s", p99, most)
	}
	if f.acked < want || f.reads < want {
		t.Errorf("%d writes and %d reads: the load did not run", f.acked, f.reads)
	}
}

var _ raft.Transport = (*simEnd)(nil)
