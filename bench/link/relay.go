package link

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

// Config of a relay.
type Config struct {
	Listen string // IP:PORT; port 0: any that is free. The address is one of this machine, not 0.0.0.0
	To     string // HOST:PORT that is relayed to
	// UDP and TCP say what is relayed, both at the same port; one at least.
	UDP, TCP bool
	// Up is the plan from clients to the server, Down the way back. Required.
	Up, Down shape.Plan
	Seed     uint64
	// MaxFlows bounds clients' UDP addresses, and TCP connections, each. Default 1,024.
	MaxFlows int
}

func (c *Config) setDefaults() error {
	if c.MaxFlows == 0 {
		c.MaxFlows = 1024
	}
	if !c.UDP && !c.TCP {
		return fmt.Errorf("relay: %w: neither UDP nor TCP", vstack.ErrInvalid)
	}
	if c.MaxFlows < 0 {
		return fmt.Errorf("relay: %w: %d flows", vstack.ErrInvalid, c.MaxFlows)
	}
	return c.fits(c.Up, c.Down)
}

// fits refuses plans that the relay cannot play.
func (c *Config) fits(plans ...shape.Plan) error {
	for _, p := range plans {
		if err := p.Validate(); err != nil {
			return err
		}
		if c.TCP && p.Lossy() {
			return fmt.Errorf("relay of TCP: %w: bytes that were acknowledged to their sender cannot be lost or reordered any more; "+
				"relay UDP alone, or lose packets with a TUN link between network namespaces", vstack.ErrInvalid)
		}
	}
	return nil
}

// Relay is a link to one server, in user space.
type Relay struct {
	cfg      Config
	addr     netip.AddrPort
	to       netip.AddrPort
	up, down *Way

	front    *net.UDPConn // nil without UDP
	listener *net.TCPListener
	wg       sync.WaitGroup

	mu      sync.Mutex // guards what is below
	flows   map[netip.AddrPort]*flow
	streams map[*stream]struct{}
	serial  uint64 // of flows, which seeds their dice
	closed  bool
}

// Open listens and relays until Close.
func Open(cfg Config) (_ *Relay, err error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	r := &Relay{cfg: cfg, flows: map[netip.AddrPort]*flow{}, streams: map[*stream]struct{}{}}
	if r.to, err = resolve(cfg.To); err != nil {
		return nil, err
	}
	if r.addr, err = resolve(cfg.Listen); err != nil {
		return nil, err
	}
	if r.addr.Addr().IsUnspecified() {
		return nil, fmt.Errorf("relay: %w: listen at %s: answers must come from the address that was asked: name one", vstack.ErrInvalid, r.addr)
	}
	if err := r.listen(); err != nil {
		return nil, errors.Join(fmt.Errorf("relay to %s: %w", r.to, err), r.closeSockets())
	}
	if r.up, err = NewWay(cfg.Up, cfg.Seed); err == nil {
		r.down, err = NewWay(cfg.Down, cfg.Seed+1)
	}
	if err != nil {
		return nil, errors.Join(err, r.closeSockets(), r.closeWays())
	}
	if r.front != nil {
		r.wg.Go(r.readFront)
	}
	if r.listener != nil {
		r.wg.Go(r.accept)
	}
	return r, nil
}

// Addr is where clients find the server.
func (r *Relay) Addr() netip.AddrPort { return r.addr }

// SetPlans follows other plans from now on. A shape that is Down has UDP vanish and TCP
// wait.
func (r *Relay) SetPlans(up, down shape.Plan) error {
	if err := r.cfg.fits(up, down); err != nil {
		return err
	}
	return errors.Join(r.up.SetPlan(up), r.down.SetPlan(down))
}

// Reset breaks every TCP connection; what was under way is lost. UDP has none.
func (r *Relay) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.streams {
		s.breakOff()
	}
}

// Report is what the two directions did until now, and ErrLate if they kept bad time.
func (r *Relay) Report() (up, down Counts, err error) {
	up, down = r.up.Counts(), r.down.Counts()
	if err := errors.Join(up.Err(), down.Err()); err != nil {
		return up, down, fmt.Errorf("link to %s: %w", r.to, err)
	}
	return up, down, nil
}

// Close ends the relay and waits for all that it started.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	for _, f := range r.flows {
		f.close()
	}
	for s := range r.streams {
		s.breakOff()
	}
	r.mu.Unlock()
	err := errors.Join(r.closeSockets(), r.closeWays())
	r.wg.Wait()
	return err
}

// listen opens the sockets. With any port for both, one is found that both have free.
func (r *Relay) listen() (err error) {
	for range 20 {
		addr := r.addr
		if r.cfg.TCP {
			if r.listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr)); err != nil {
				return err
			}
			addr = r.listener.Addr().(*net.TCPAddr).AddrPort()
		}
		if r.cfg.UDP {
			r.front, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		}
		if err == nil && r.cfg.UDP {
			addr = r.front.LocalAddr().(*net.UDPAddr).AddrPort()
			err = offload(r.front)
		}
		if err == nil {
			r.addr = netip.AddrPortFrom(r.addr.Addr(), addr.Port())
			return nil
		}
		if r.addr.Port() != 0 || !r.cfg.TCP {
			return err
		}
		err = errors.Join(err, r.closeSockets())
		r.listener, r.front = nil, nil
	}
	return err
}

func (r *Relay) closeSockets() error {
	var errs []error
	if r.front != nil {
		errs = append(errs, r.front.Close())
	}
	if r.listener != nil {
		errs = append(errs, r.listener.Close())
	}
	for i, err := range errs {
		if errors.Is(err, net.ErrClosed) {
			errs[i] = nil
		}
	}
	return errors.Join(errs...)
}

func (r *Relay) closeWays() error {
	var errs []error
	for _, w := range []*Way{r.up, r.down} {
		if w != nil {
			errs = append(errs, w.Close())
		}
	}
	return errors.Join(errs...)
}

// dice are of one direction of one flow, so that flows do not draw from each other's.
func (r *Relay) dice(serial, direction uint64) *rand.Rand {
	return rand.New(rand.NewPCG(r.cfg.Seed, serial<<1|direction))
}

func resolve(addr string) (netip.AddrPort, error) {
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("relay: address %q: %w: %w", addr, vstack.ErrInvalid, err)
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// headers are the bytes of an IP packet beside its payload; TCP's with timestamps.
func headers(to netip.Addr, tcp bool) int {
	n := 20 + 8
	if tcp {
		n = 20 + 32
	}
	if to.Is6() {
		n += 20
	}
	return n
}
