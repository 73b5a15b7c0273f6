package history

import (
	"errors"
	"fmt"
	"net"

	"github.com/vstack/vstack/bench/link"
	"github.com/vstack/vstack/bench/link/shape"
	"github.com/vstack/vstack/internal/vstack"
)

// links are a client's ways to all stores, by the store's own address: relays of TCP that
// can be cut, in either direction by itself. What is under way when one is cut waits, as
// in a network that TCP retransmits over: it arrives when the link heals, unless the
// connections are reset.
type links map[string]*link.Relay

var (
	through = shape.Always(shape.Shape{})
	severed = shape.Always(shape.Shape{Down: true})
)

// openLinks makes a link to every store. Each listens at its store's own IP address, so
// that the store's certificate fits.
func openLinks(stores []string) (links, error) {
	all := links{}
	for _, addr := range stores {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("store address %q: %w: %w", addr, vstack.ErrInvalid, err), all.Close())
		}
		r, err := link.Open(link.Config{Listen: net.JoinHostPort(host, "0"), To: addr, TCP: true, Up: through, Down: through})
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all[addr] = r
	}
	return all, nil
}

// cut stops the directions that are named.
func cut(r *link.Relay, up, down bool) error {
	plan := map[bool]shape.Plan{false: through, true: severed}
	return r.SetPlans(plan[up], plan[down])
}

// heal lets both directions flow. With reset every connection breaks first, and what was
// under way is lost.
func heal(r *link.Relay, reset bool) error {
	if reset {
		r.Reset()
	}
	return r.SetPlans(through, through)
}

// via maps each store's address to its link's.
func (ls links) via() map[string]string {
	out := map[string]string{}
	for addr, l := range ls {
		out[addr] = l.Addr().String()
	}
	return out
}

// to are the links to the stores of one host.
func (ls links) to(hostIP string) []*link.Relay {
	var out []*link.Relay
	for addr, l := range ls {
		if host, _, _ := net.SplitHostPort(addr); host == hostIP {
			out = append(out, l)
		}
	}
	return out
}

// Close ends all links.
func (ls links) Close() error {
	var errs []error
	for _, l := range ls {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
