package virtual

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Net is a network of hosts. It must be made, used and closed in one bubble of
// testing/synctest, or else it runs in real time.
type Net struct {
	seed  uint64
	start time.Time
	done  sync.WaitGroup
	kick  chan struct{} // the first event changed; capacity 1
	quit  chan struct{}

	mu     sync.Mutex
	closed bool
	hosts  map[netip.Addr]*Host
	flows  map[flow]*rand.Rand
	events events
	order  uint64
}

// flow is what loss is drawn for.
type flow struct{ from, to netip.AddrPort }

// New makes a network. The seed decides about loss and jitter.
func New(seed uint64) *Net {
	n := &Net{
		seed: seed, start: time.Now(), kick: make(chan struct{}, 1), quit: make(chan struct{}),
		hosts: map[netip.Addr]*Host{}, flows: map[flow]*rand.Rand{},
	}
	n.done.Go(n.run)
	return n
}

// Host adds a host at an IP address with its two links.
func (n *Net) Host(ip string, up, down LinkConfig) (*Host, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, fmt.Errorf("virtual host: %w: %v", vstack.ErrInvalid, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[addr] != nil {
		return nil, fmt.Errorf("virtual host %s: %w", ip, vstack.ErrAlreadyExists)
	}
	h := &Host{
		net: n, addr: addr, up: newLink(up, n.generator("up "+ip)), down: newLink(down, n.generator("down "+ip)),
		packets: map[uint16]*packetConn{}, listeners: map[uint16]*listener{}, port: firstPort,
	}
	n.hosts[addr] = h
	return h, nil
}

// Close ends every socket and what is on its way. Idempotent.
func (n *Net) Close() {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		n.done.Wait()
		return
	}
	n.closed = true
	n.events = nil
	var hosts []*Host
	for _, h := range n.hosts {
		hosts = append(hosts, h)
	}
	n.mu.Unlock()
	close(n.quit)
	for _, h := range hosts {
		h.close()
	}
	n.done.Wait()
}

func (n *Net) now() time.Duration { return time.Since(n.start) }

// generator is a source of numbers that depends on the seed and a name alone.
func (n *Net) generator(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return rand.New(rand.NewPCG(n.seed, h.Sum64()))
}

// draw is the next number of a flow; the lock is held.
func (n *Net) draw(f flow) func() float64 {
	return func() float64 {
		r := n.flows[f]
		if r == nil {
			r = n.generator(f.from.String() + " " + f.to.String())
			n.flows[f] = r
		}
		return r.Float64()
	}
}

// send puts bytes on their way; then is called with the lock free when they are there,
// and lost when they are known to be lost. Either may be nil.
func (n *Net) send(f flow, size int, then, lost func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	from, to := n.hosts[f.from.Addr()], n.hosts[f.to.Addr()]
	drop := func(at time.Duration) {
		if lost != nil {
			n.at(at, lost)
		}
	}
	now := n.now()
	if from == nil || to == nil {
		drop(now)
		return
	}
	at, ok := from.up.pass(now, size, n.draw(f))
	if !ok {
		drop(now)
		return
	}
	n.at(at, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.closed {
			return
		}
		now := n.now()
		at, ok := to.down.pass(now, size, n.draw(f))
		if !ok {
			drop(now)
			return
		}
		if then != nil {
			n.at(at, then)
		}
	})
}

// at has f called at a time; the lock is held.
func (n *Net) at(t time.Duration, f func()) {
	n.order++
	heap.Push(&n.events, event{t, n.order, f})
	if n.events[0].order == n.order {
		select {
		case n.kick <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// run calls events in the order of their times.
func (n *Net) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n.mu.Lock()
		var due []func()
		now := n.now()
		for len(n.events) > 0 && n.events[0].at <= now {
			due = append(due, heap.Pop(&n.events).(event).do)
		}
		wait := time.Hour
		if len(n.events) > 0 {
			wait = n.events[0].at - now
		}
		n.mu.Unlock()
		if len(due) > 0 {
			for _, f := range due {
				f()
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-n.kick:
		case <-n.quit:
			return
		}
	}
}

type event struct {
	at    time.Duration
	order uint64
	do    func()
}

// events is a heap, the earliest first.
type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// udpAddr is the form in which package net names an address.
func udpAddr(a netip.AddrPort) *net.UDPAddr { return net.UDPAddrFromAddrPort(a) }
