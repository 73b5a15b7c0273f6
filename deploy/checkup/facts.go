package checkup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Facts are what a cluster says of itself, and what was seen of its listeners. A part that
// could not be had has its error instead.
type Facts struct {
	Now       time.Time
	Raft      wire.RaftStatus
	RaftErr   error
	Nodes     []wire.Node
	NodesErr  error
	Orders    []wire.StandingOrder
	OrdersErr error            // also of clusters whose program knows no orders
	Held      []wire.HeldGroup // none where the program does not tell
	Levels    wire.LevelReport
	LevelsErr error
	Balance   wire.BalanceReport
	Uploading []vstack.Video // whose upload is open; none where that could not be had
	Listeners []Listener
	Doors     []Door
	Places    []Place
}

// Listener is one address of the cluster, as it was seen from here.
type Listener struct {
	Host     string
	Addr     string
	Err      error
	NotAfter time.Time     // of its certificate
	CertLife time.Duration // from its issue to its end
	Clock    time.Duration // its clock less this machine's; 0 where it does not say
}

// shows takes note of its certificate.
func (l *Listener) shows(c *x509.Certificate) {
	l.NotAfter, l.CertLife = c.NotAfter, c.NotAfter.Sub(c.NotBefore)
}

// lookTimeout bounds a look at one listener.
const lookTimeout = 5 * time.Second

// Gather asks. It fails only when ctx ends.
func Gather(ctx context.Context, c *cluster.Cluster) (Facts, error) {
	f := Facts{Now: time.Now()}
	f.Raft, f.RaftErr = c.Meta.RaftStatus(ctx)
	f.Nodes, f.NodesErr = c.Meta.Nodes(ctx)
	f.Orders, f.OrdersErr = c.Meta.Orders(ctx)
	f.Held, _ = c.Meta.HeldGroups(ctx)
	f.Levels, f.LevelsErr = c.Meta.Levels(ctx)
	if f.OrdersErr == nil {
		f.Balance, f.OrdersErr = c.Meta.Balance(ctx)
	}
	f.Uploading, _ = c.Uploading(ctx)
	for _, p := range f.Raft.Peers {
		f.Listeners = append(f.Listeners, Listener{Host: p.ID, Addr: p.API})
	}
	for _, n := range f.Nodes {
		for _, st := range n.Stores {
			f.Listeners = append(f.Listeners, Listener{Host: string(n.Host), Addr: st.Addr})
		}
	}
	var wg sync.WaitGroup
	for i := range f.Listeners {
		wg.Go(func() { f.Listeners[i].look(ctx, c.Transport()) })
	}
	f.doors()
	wg.Go(func() { f.knock(ctx, c.TLS()) })
	wg.Go(func() { f.visit(ctx, c) })
	wg.Wait()
	return f, ctx.Err()
}

// look asks a listener whether it lives, for its certificate and its clock.
func (l *Listener) look(ctx context.Context, rt http.RoundTripper) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.Addr+"/livez", nil)
	if err != nil {
		l.Err = err
		return
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		l.Err = err
		var bad *tls.CertificateVerificationError
		if errors.As(err, &bad) && len(bad.UnverifiedCertificates) > 0 {
			l.shows(bad.UnverifiedCertificates[0])
		}
		return
	}
	defer resp.Body.Close()
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		l.shows(resp.TLS.PeerCertificates[0])
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// The header is cut to whole seconds: half a second is the best guess.
		l.Clock = time.Until(date.Add(500 * time.Millisecond))
	}
}

// hosts are the names of hosts that have a store in a state.
func (f *Facts) hosts(state vstack.StoreState) (out []string) {
	for _, n := range f.Nodes {
		if slices.ContainsFunc(n.Stores, func(s wire.NodeStore) bool { return s.State == state }) {
			out = append(out, string(n.Host))
		}
	}
	return out
}
