package link

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/link/shape"
)

const (
	// segment is the payload of a TCP packet on an Ethernet.
	segment = 1448
	// window bounds the bytes of one direction of a connection between read and written.
	window = 4 << 20
	// dialTimeout bounds the relay's own connection, which is not part of the link.
	dialTimeout = 3 * time.Second
)

// accept takes connections from clients.
func (r *Relay) accept() {
	for {
		c, err := r.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // out of files: those of others come back
			continue
		}
		r.wg.Go(func() { r.carry(c) })
	}
}

// stream is one TCP connection over the link.
type stream struct {
	up, down *pipe
	stop     context.CancelFunc // ends a dial

	mu     sync.Mutex // guards what is below
	ends   []*net.TCPConn
	broken bool
}

// carry relays a connection until both directions have ended or one broke. The
// handshake takes its round trip: the server is dialled when the client's first packet
// would have come, and its answer takes the way back.
func (r *Relay) carry(client *net.TCPConn) {
	ctx, stop := context.WithCancel(context.Background())
	s := &stream{up: newPipe(r.up), down: newPipe(r.down), stop: stop, ends: []*net.TCPConn{client}}
	defer s.breakOff()
	if !r.keep(s) {
		return
	}
	defer r.drop(s)
	extra := headers(r.to.Addr(), true)
	if !s.up.push(Parcel{}, extra) || !s.up.take(nil) {
		return
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	c, err := dialer.DialContext(ctx, "tcp", r.to.String())
	if err != nil {
		return // as if the server had refused it
	}
	server := c.(*net.TCPConn)
	if !s.joined(server) || !s.down.push(Parcel{}, extra) || !s.down.take(nil) {
		return
	}
	var both sync.WaitGroup
	for _, f := range []func() error{
		func() error { return s.up.read(client, extra) }, func() error { return s.up.write(server) },
		func() error { return s.down.read(server, extra) }, func() error { return s.down.write(client) },
	} {
		both.Go(func() {
			if f() != nil {
				s.breakOff()
			}
		})
	}
	both.Wait()
	s.finish()
}

func (r *Relay) keep(s *stream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.streams) >= r.cfg.MaxFlows {
		return false
	}
	r.streams[s] = struct{}{}
	return true
}

func (r *Relay) drop(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.streams, s)
}

// joined adds the server's end, unless the stream broke meanwhile.
func (s *stream) joined(server *net.TCPConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, server)
	if s.broken {
		closeNow(server)
	}
	return !s.broken
}

// finish closes both ends, once each has told the other that no more comes. The kernel
// sends what it still holds.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.ends {
		if !s.broken {
			_ = c.Close() // all that it had to say was said by CloseWrite
		}
	}
}

// breakOff resets both ends; what is under way is lost. Ends that were closed in order
// are as they are.
func (s *stream) breakOff() {
	s.mu.Lock()
	s.broken = true
	for _, c := range s.ends {
		closeNow(c)
	}
	s.mu.Unlock()
	s.stop()
	s.up.breakOff()
	s.down.breakOff()
}

func closeNow(c *net.TCPConn) {
	_ = c.SetLinger(0) // a broken connection is the purpose
	_ = c.Close()
}

// pipe is one direction of a stream: bytes that were read and are not yet written.
type pipe struct {
	way *Way

	mu     sync.Mutex // guards what is below
	change sync.Cond
	under  int                 // bytes read and not yet written
	due    []shape.Due[Parcel] // have passed the way
	broken bool
}

func newPipe(w *Way) *pipe {
	p := &pipe{way: w}
	p.change.L = &p.mu
	return p
}

var errBroken = errors.New("stream broken")

// read sends what it reads, until the end, which it sends as a parcel without data.
func (p *pipe) read(from *net.TCPConn, extra int) error {
	buf := make([]byte, 64<<10)
	for {
		if !p.wait(func() bool { return p.under < window }) {
			return errBroken
		}
		n, err := from.Read(buf)
		for data := buf[:n]; len(data) > 0; {
			piece := Held(data[:min(segment, len(data))])
			data = data[len(piece):]
			if !p.push(Parcel{Data: piece}, len(piece)+extra) {
				return errBroken
			}
		}
		if err == io.EOF {
			if !p.push(Parcel{}, extra) {
				return errBroken
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// push sends a parcel once the way has room.
func (p *pipe) push(pc Parcel, size int) bool {
	p.mu.Lock()
	p.under += len(pc.Data)
	p.mu.Unlock()
	pc.To = p
	return p.way.PushWhole(size, pc, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.broken
	})
}

// write writes what has passed, until the end.
func (p *pipe) write(to *net.TCPConn) error {
	for {
		ended := false
		var err error
		ok := p.take(func(run []shape.Due[Parcel]) {
			var bufs net.Buffers
			n := 0
			for _, d := range run {
				if len(d.Packet.Data) == 0 {
					ended = true
					break
				}
				bufs = append(bufs, d.Packet.Data)
				n += len(d.Packet.Data)
			}
			_, err = bufs.WriteTo(to)
			p.mu.Lock()
			p.under -= n
			p.mu.Unlock()
		})
		if !ok {
			return errBroken
		}
		if err != nil {
			return err
		}
		p.change.Broadcast()
		if ended {
			return to.CloseWrite()
		}
	}
}

// take waits for parcels that have passed, has f send them, if given, and counts them.
func (p *pipe) take(f func([]shape.Due[Parcel])) bool {
	if !p.wait(func() bool { return len(p.due) > 0 }) {
		return false
	}
	p.mu.Lock()
	run := p.due
	p.due = nil
	p.mu.Unlock()
	if f != nil {
		f(run)
	}
	p.way.Sent(run)
	for _, d := range run {
		Release(d.Packet.Data)
	}
	return true
}

// Deliver hands parcels to the one who writes, because a receiver who does not read must
// not stop the thread. What it may hold is bounded by window.
func (p *pipe) Deliver(_ *Way, run []shape.Due[Parcel]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due = append(p.due, run...)
	p.change.Broadcast()
}

// wait waits for what holds under the lock; false when the stream broke.
func (p *pipe) wait(holds func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.broken && !holds() {
		p.change.Wait()
	}
	return !p.broken
}

func (p *pipe) breakOff() {
	p.mu.Lock()
	p.broken = true
	p.change.Broadcast()
	p.mu.Unlock()
	p.way.Wake()
}
