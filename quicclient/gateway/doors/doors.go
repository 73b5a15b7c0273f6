package doors

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// age is how long what stores said of their doors for browsers is used. A page that
	// finds a store gone asks again before it dials again.
	age = 2 * time.Second
	// knownAge is how long it is good enough for who asks for what is known.
	knownAge = 5 * time.Minute
	// wait bounds asking the catalog. Without an answer the last one holds: a
	// certificate serves for days.
	wait = 2 * time.Second
)

// Door is where pages read from a store by WebTransport.
type Door struct {
	Store vstack.StoreID `json:"store"`
	// Started is when the store's process did: a page that could not open a session tries
	// anew with the next one.
	Started time.Time `json:"started"`
	wire.BrowserDoor
}

// Doors are those of a cluster.
type Doors struct {
	nodes func(context.Context) ([]wire.Node, error)
	ask   singleflight.Group

	mu   sync.Mutex // guards both
	last []Door
	at   time.Time
}

// New makes Doors of what the catalog knows of its hosts. It asks nothing yet.
func New(nodes func(context.Context) ([]wire.Node, error)) *Doors { return &Doors{nodes: nodes} }

// List is what the stores last said. Of a store that has fallen silent there is no door.
func (d *Doors) List() []Door {
	d.mu.Lock()
	last, fresh := d.last, time.Since(d.at) < age
	d.mu.Unlock()
	if fresh {
		return last
	}
	// Whoever asks first gives up for nobody else, so that its context is none of theirs.
	out, _, _ := d.ask.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		nodes, err := d.nodes(ctx)
		d.mu.Lock()
		defer d.mu.Unlock()
		if err == nil {
			d.last = of(nodes, d.last)
		}
		d.at = time.Now()
		return d.last, nil
	})
	return out.([]Door)
}

// Known is List without asking where stores said something within the last minutes: a session that
// is dialled too late costs a first picture more than one that comes to nothing.
func (d *Doors) Known() []Door {
	d.mu.Lock()
	last, known := d.last, len(d.last) > 0 && time.Since(d.at) < knownAge
	d.mu.Unlock()
	if known {
		return last
	}
	return d.List()
}

// of finds the doors in what stores last reported. A leader that is new has heard of no store yet:
// until it has, what was known of those that are not down holds.
func of(nodes []wire.Node, known []Door) []Door {
	out := []Door{}
	for _, n := range nodes {
		for _, s := range n.Stores {
			if i := slices.IndexFunc(known, func(d Door) bool { return d.Store == s.ID }); s.State != vstack.StoreDown && s.Report == nil && i >= 0 {
				out = append(out, known[i])
			}
			if s.State != vstack.StoreDown && s.Report != nil && s.Report.Browser != nil && plainAddr(s.Report.Browser.Addr) {
				out = append(out, Door{s.ID, s.Report.Started, *s.Report.Browser})
			}
		}
	}
	slices.SortFunc(out, func(a, b Door) int { return strings.Compare(a.Addr, b.Addr) })
	return out
}

// plainHost is a host name or an address as a policy's source may have it.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$|^[0-9A-Fa-f:]+$`)

// plainAddr keeps what would be more than an address out of the pages' policy.
func plainAddr(addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	return err == nil && plainHost.MatchString(host) && strings.Trim(port, "0123456789") == "" && port != ""
}
