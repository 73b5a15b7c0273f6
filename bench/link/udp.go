package link

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/bench/link/shape"
)

const (
	// flowIdle is how long a client's address is remembered after its last packet.
	flowIdle = 60 * time.Second
	// blockSize holds a packet of an Ethernet.
	blockSize = 2048
)

// blocks are buffers of packets that are under way.
var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// Held copies a packet into a buffer of its own.
func Held(packet []byte) []byte {
	if len(packet) > blockSize {
		return append([]byte(nil), packet...)
	}
	b := blocks.Get().(*[blockSize]byte)
	return b[:copy(b[:], packet)]
}

// Release gives the buffer of Held back.
func Release(data []byte) {
	if cap(data) == blockSize {
		blocks.Put((*[blockSize]byte)(data[:blockSize]))
	}
}

// flow is the packets of one client's UDP address.
type flow struct {
	back     *net.UDPConn // to the server
	toServer *udpTarget
	toClient *udpTarget
	dice     *rand.Rand // of packets to the server; drawn by readFront alone
	heard    atomic.Int64
}

func (f *flow) close() { _ = f.back.Close() } // its reader ends

// readFront takes packets from clients.
func (r *Relay) readFront() {
	in := newReader(r.front)
	extra := headers(r.to.Addr(), false)
	for {
		b, err := in.read()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of one packet, as an unreachable client
		}
		f := r.flow(b.from)
		if b.overran > 0 {
			r.up.Overran(b.overran)
		}
		if f == nil {
			continue
		}
		f.heard.Store(b.arrived.UnixNano())
		b.each(func(p []byte) { forward(r.up, b.arrived, extra, f.dice, p, f.toServer) })
	}
}

// readBack takes packets from the server for one client, until the flow is idle.
func (r *Relay) readBack(client netip.AddrPort, f *flow, dice *rand.Rand) {
	defer r.forget(client, f)
	in := newReader(f.back)
	extra := headers(r.to.Addr(), false)
	for {
		if err := f.back.SetReadDeadline(time.Unix(0, f.heard.Load()).Add(flowIdle)); err != nil {
			return // closed
		}
		b, err := in.read()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Since(time.Unix(0, f.heard.Load())) >= flowIdle {
				return
			}
		case err == nil: // else nobody listens at the server: the packet is lost
			f.heard.Store(b.arrived.UnixNano())
			if b.overran > 0 {
				r.down.Overran(b.overran)
			}
			b.each(func(p []byte) { forward(r.down, b.arrived, extra, dice, p, f.toClient) })
		}
	}
}

func forward(w *Way, arrived time.Time, extra int, dice *rand.Rand, packet []byte, to Target) {
	data := Held(packet)
	if !w.Push(arrived, len(data)+extra, dice, Parcel{Data: data, To: to}) {
		Release(data)
	}
}

// flow finds or begins a client's flow; nil when there are too many, or at the end.
func (r *Relay) flow(client netip.AddrPort) *flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flows[client]; f != nil || r.closed || len(r.flows) >= r.cfg.MaxFlows {
		return f
	}
	back, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.to))
	if err != nil {
		return nil // the packet is lost; the next one tries again
	}
	if err := offload(back); err != nil {
		_ = back.Close()
		return nil
	}
	r.serial++
	f := &flow{
		back: back, dice: r.dice(r.serial, 0),
		toServer: &udpTarget{conn: back},
		toClient: &udpTarget{conn: r.front, addr: client},
	}
	f.heard.Store(time.Now().UnixNano())
	r.flows[client] = f
	dice := r.dice(r.serial, 1)
	r.wg.Go(func() { r.readBack(client, f, dice) })
	return f
}

func (r *Relay) forget(client netip.AddrPort, f *flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.close()
	if r.flows[client] == f {
		delete(r.flows, client)
	}
}

// udpTarget sends the packets of a flow that have passed; on the way's thread alone.
type udpTarget struct {
	conn *net.UDPConn
	addr netip.AddrPort // invalid: the socket is connected
	buf  []byte
	oob  []byte
}

// Deliver sends packets of one size by one call.
func (t *udpTarget) Deliver(w *Way, run []shape.Due[Parcel]) {
	for rest := run; len(rest) > 0; {
		n := together(rest)
		t.send(rest[:n])
		rest = rest[n:]
	}
	w.Sent(run)
	for _, d := range run {
		Release(d.Packet.Data)
	}
}

// together counts the packets from the first on that segmentation offload can send as
// one: all of the first one's size, the last perhaps smaller.
func together(run []shape.Due[Parcel]) int {
	size := len(run[0].Packet.Data)
	n, total := 1, size
	for n < min(len(run), maxSegments) {
		next := len(run[n].Packet.Data)
		if next > size || next == 0 || total+next > maxTogether {
			break
		}
		n, total = n+1, total+next
		if next < size {
			break
		}
	}
	return n
}

// send sends packets. An error of a connected socket is of an earlier packet, and has
// this one stay: it is sent once more, alone.
func (t *udpTarget) send(run []shape.Due[Parcel]) {
	if len(run) > 1 {
		t.buf = t.buf[:0]
		for _, d := range run {
			t.buf = append(t.buf, d.Packet.Data...)
		}
		t.oob = segmentMessage(t.oob, len(run[0].Packet.Data))
		if _, _, err := t.conn.WriteMsgUDPAddrPort(t.buf, t.oob, t.addr); err == nil {
			return
		}
	}
	for _, d := range run {
		if _, _, err := t.conn.WriteMsgUDPAddrPort(d.Packet.Data, nil, t.addr); err != nil {
			_, _, _ = t.conn.WriteMsgUDPAddrPort(d.Packet.Data, nil, t.addr)
		}
	}
}
