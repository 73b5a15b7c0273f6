package tun

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

// MTU is what a device carries.
const MTU = 1500

// Host is one end of a hub.
type Host struct {
	Namespace string // its file; "": this process's own
	Device    string // name of the device to make there
	Addr      netip.Addr
}

// Hub joins hosts, each by a link of its own.
type Hub struct {
	ports []*port
	wg    sync.WaitGroup
}

// port is one host's end.
type port struct {
	hub      *Hub
	host     Host
	dev      *os.File
	up, down *link.Way
	dice     *rand.Rand // of packets that it sends; its reader's
	arrive   sync.Mutex // guards luck, which those draw from that send to it
	luck     *rand.Rand
	before   int64 // packets that the kernel had dropped when counting began
}

// nothing is a link that does nothing.
var nothing = shape.Always(shape.Shape{})

// Open makes the devices. They have no address yet and are not up: that is the caller's.
// Close takes them away.
func Open(seed uint64, hosts ...Host) (_ *Hub, err error) {
	if err := Available(); err != nil {
		return nil, err
	}
	h := &Hub{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	for i, host := range hosts {
		if !host.Addr.Is4() {
			return nil, fmt.Errorf("TUN device %s: %w: address %s is not of IPv4", host.Device, vstack.ErrInvalid, host.Addr)
		}
		n := uint64(i) << 2
		p := &port{hub: h, host: host, dice: rand.New(rand.NewPCG(seed, n)), luck: rand.New(rand.NewPCG(seed, n|1))}
		h.ports = append(h.ports, p)
		if p.up, err = link.NewWay(nothing, seed+n); err != nil {
			return nil, err
		}
		if p.down, err = link.NewWay(nothing, seed+n+1); err != nil {
			return nil, err
		}
		if p.dev, err = openDevice(host.Namespace, host.Device); err != nil {
			return nil, err
		}
	}
	for _, p := range h.ports {
		h.wg.Go(p.read)
	}
	return h, nil
}

// SetLink has a host's packets, those it sends and those it receives, follow plans from
// now on.
func (h *Hub) SetLink(i int, up, down shape.Plan) error {
	return errors.Join(h.ports[i].up.SetPlan(up), h.ports[i].down.SetPlan(down))
}

// Report is what a host's link did until now, and ErrLate if it kept bad time.
func (h *Hub) Report(i int) (up, down link.Counts, err error) {
	p := h.ports[i]
	up, down = p.up.Counts(), p.down.Counts()
	if up.Overrun, err = overran(p.host.Namespace, p.host.Device); err != nil {
		return up, down, err
	}
	up.Overrun -= p.before
	if err := errors.Join(up.Err(), down.Err()); err != nil {
		return up, down, fmt.Errorf("link of %s: %w", p.host.Addr, err)
	}
	return up, down, nil
}

// CountAnew has reports say what links did from now on.
func (h *Hub) CountAnew() error {
	for _, p := range h.ports {
		p.up.CountAnew()
		p.down.CountAnew()
		var err error
		if p.before, err = overran(p.host.Namespace, p.host.Device); err != nil {
			return err
		}
	}
	return nil
}

// Close takes the devices away. What is under way is lost.
func (h *Hub) Close() error {
	var errs []error
	for _, p := range h.ports {
		for _, w := range []*link.Way{p.up, p.down} {
			if w != nil {
				errs = append(errs, w.Close())
			}
		}
		if p.dev != nil {
			if err := p.dev.Close(); !errors.Is(err, os.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	h.wg.Wait()
	return errors.Join(errs...)
}

// read takes the packets that a host sends.
func (p *port) read() {
	buf := make([]byte, 1<<16)
	for {
		n, err := p.dev.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil || n < 20 || buf[0]>>4 != 4 {
			continue // a device that is not up yet, or no IPv4
		}
		to := p.hub.find(netip.AddrFrom4([4]byte(buf[16:20])))
		if to == nil {
			continue // as an Ethernet without such a host, or a multicast
		}
		data := link.Held(buf[:n])
		if !p.up.Push(time.Now(), n, p.dice, link.Parcel{Data: data, To: (*sent)(to)}) {
			link.Release(data)
		}
	}
}

func (h *Hub) find(addr netip.Addr) *port {
	for _, p := range h.ports {
		if p.host.Addr == addr {
			return p
		}
	}
	return nil
}

// sent is a port as the target of what has passed the sender's way: the receiver's comes
// next.
type sent port

// Deliver pushes packets at the moment at which they were due, so that a thread that is
// late does not delay them for good.
func (s *sent) Deliver(w *link.Way, run []shape.Due[link.Parcel]) {
	p := (*port)(s)
	w.Sent(run)
	p.arrive.Lock()
	defer p.arrive.Unlock()
	for _, d := range run {
		if !p.down.Push(w.Time(d.At), len(d.Packet.Data), p.luck, link.Parcel{Data: d.Packet.Data, To: (*received)(p)}) {
			link.Release(d.Packet.Data)
		}
	}
}

// received is a port as the target of what has passed its own way down.
type received port

// Deliver hands packets to the host's kernel. One that it does not take is lost, as by a
// network card without a free buffer.
func (r *received) Deliver(w *link.Way, run []shape.Due[link.Parcel]) {
	for _, d := range run {
		_, _ = (*port)(r).dev.Write(d.Packet.Data)
	}
	w.Sent(run)
	for _, d := range run {
		link.Release(d.Packet.Data)
	}
}
