package rolling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Cluster is what is asked meanwhile; *metaclient.Client is one.
type Cluster interface {
	OKToStop(ctx context.Context, host vstack.HostID) (wire.OKToStop, error)
	RaftStatus(ctx context.Context) (wire.RaftStatus, error)
	Nodes(ctx context.Context) ([]wire.Node, error)
}

// Options say how to go about it.
type Options struct {
	Cluster Cluster
	Hosts   []*hostcmd.Host
	// Wait bounds how long a host is waited for: until it may be stopped, and until it is back.
	// Default 30 min.
	Wait time.Duration
	// Look is how often the cluster is asked. Default 1 s.
	Look time.Duration
	// Say is told what happens to a host, once a change.
	Say func(host vstack.HostID, what string)
}

// Done is one host that was exchanged.
type Done struct {
	Host    vstack.HostID `json:"host"`
	Before  string        `json:"before"`  // its program's version
	After   string        `json:"after"`   //
	Waited  float64       `json:"waited"`  // seconds until it might be stopped
	Away    float64       `json:"away"`    // seconds from its stop until it was back
	Skipped bool          `json:"skipped"` // not reached
}

// Check wants the commands that the work needs, and hosts that the cluster has.
func Check(ctx context.Context, o Options) error {
	nodes, err := o.Cluster.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, h := range o.Hosts {
		for _, a := range []hostcmd.Action{hostcmd.Stop, hostcmd.Start} {
			if !h.Has(a) {
				return fmt.Errorf("host %s: %w: no command to %s it", h.ID, vstack.ErrInvalid, a)
			}
		}
		if !slices.ContainsFunc(nodes, func(n wire.Node) bool { return n.Host == h.ID }) {
			return fmt.Errorf("host %s: %w: the cluster has no such host", h.ID, vstack.ErrNotFound)
		}
	}
	return nil
}

// Run exchanges the hosts one after the other, and tells which are done; the others are
// Skipped, after an error or the end of ctx.
func Run(ctx context.Context, o Options) ([]Done, error) {
	if o.Wait == 0 {
		o.Wait = 30 * time.Minute
	}
	if o.Look == 0 {
		o.Look = time.Second
	}
	if err := Check(ctx, o); err != nil {
		return nil, err
	}
	order, err := leaderLast(ctx, o)
	if err != nil {
		return nil, err
	}
	var out []Done
	for i, h := range order {
		d, err := o.exchange(ctx, h)
		out = append(out, d)
		if err != nil {
			for _, rest := range order[i+1:] {
				out = append(out, Done{Host: rest.ID, Skipped: true})
			}
			return out, err
		}
	}
	return out, nil
}

// leaderLast spares the cluster elections: whoever leads is exchanged at the end.
func leaderLast(ctx context.Context, o Options) ([]*hostcmd.Host, error) {
	st, err := o.Cluster.RaftStatus(ctx)
	if err != nil {
		return nil, err
	}
	order := slices.Clone(o.Hosts)
	slices.SortStableFunc(order, func(a, b *hostcmd.Host) int {
		leads := func(h *hostcmd.Host) int {
			if string(h.ID) == st.Leader {
				return 1
			}
			return 0
		}
		return leads(a) - leads(b)
	})
	return order, nil
}

// exchange takes one host through it.
func (o Options) exchange(ctx context.Context, h *hostcmd.Host) (d Done, err error) {
	d = Done{Host: h.ID, Before: o.node(ctx, h.ID).Version, Skipped: true}
	began := time.Now()
	if err := o.await(ctx, h.ID, "waits to be stopped", o.mayStop); err != nil {
		return d, err
	}
	d.Waited, d.Skipped = time.Since(began).Seconds(), false
	o.Say(h.ID, "stops")
	stopped := time.Now()
	seen, err := o.commands(ctx, h)
	if err != nil {
		return d, err
	}
	o.Say(h.ID, "starts")
	back := func(ctx context.Context, host vstack.HostID) string { return o.isBack(ctx, host, seen) }
	if err := o.await(ctx, h.ID, "is not back", back); err != nil {
		return d, err
	}
	d.Away, d.After = time.Since(stopped).Seconds(), o.node(ctx, h.ID).Version
	o.Say(h.ID, fmt.Sprintf("is back after %.1f s with %s", d.Away, d.After))
	return d, nil
}

// commands stops the host, installs what is new and starts it, also where that failed or ctx
// has ended: it is not left stopped. seen is when the cluster last heard of it before.
func (o Options) commands(ctx context.Context, h *hostcmd.Host) (seen time.Time, err error) {
	err = h.Do(ctx, hostcmd.Stop)
	if err == nil {
		seen = o.node(ctx, h.ID).LastSeen
	}
	if err == nil && h.Has(hostcmd.Upgrade) {
		o.Say(h.ID, "is upgraded")
		err = h.Do(ctx, hostcmd.Upgrade)
	}
	return seen, errors.Join(err, h.Mend(context.WithoutCancel(ctx)))
}

// await looks until nothing is in the way, and says each new thing that is.
func (o Options) await(ctx context.Context, host vstack.HostID, what string, look func(context.Context, vstack.HostID) string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Wait, fmt.Errorf("%w: after %s", vstack.ErrTimeout, o.Wait))
	defer cancel()
	tick := time.NewTicker(o.Look)
	defer tick.Stop()
	said := ""
	for {
		why := look(ctx, host)
		if why == "" {
			return nil
		}
		if why != said && ctx.Err() == nil {
			said = why
			o.Say(host, what+": "+why)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %s %s: %w: %s", host, what, context.Cause(ctx), said)
		case <-tick.C:
		}
	}
}

// mayStop is why a host may not be stopped.
func (o Options) mayStop(ctx context.Context, host vstack.HostID) string {
	r, err := o.Cluster.OKToStop(ctx, host)
	switch {
	case err != nil:
		return err.Error()
	case !r.OK && len(r.Reasons) == 0:
		return "the cluster says no"
	case !r.OK:
		return strings.Join(r.Reasons, "; ")
	}
	return ""
}

// isBack is what keeps a host that was started from being as it was.
func (o Options) isBack(ctx context.Context, host vstack.HostID, seen time.Time) string {
	st, err := o.Cluster.RaftStatus(ctx)
	if err != nil {
		return err.Error()
	}
	for _, p := range st.Peers {
		switch {
		case p.ID != string(host):
		case !p.Reached:
			return "its member does not answer"
		case p.Behind > 0:
			return "its member is behind"
		}
	}
	n := o.node(ctx, host)
	if !n.LastSeen.After(seen) {
		return "nothing was heard of it"
	}
	for _, s := range n.Stores {
		switch {
		case s.State != vstack.StoreUp:
			return fmt.Sprintf("store %s is %s", s.ID, s.State)
		case s.Report == nil:
			return fmt.Sprintf("store %s has not reported", s.ID)
		case s.Report.Missing > 0:
			return fmt.Sprintf("store %s lacks %d chunks", s.ID, s.Report.Missing)
		}
	}
	return ""
}

// node is what the cluster says of a host; zero where it says nothing.
func (o Options) node(ctx context.Context, host vstack.HostID) wire.Node {
	nodes, err := o.Cluster.Nodes(ctx)
	if at := slices.IndexFunc(nodes, func(n wire.Node) bool { return n.Host == host }); err == nil && at >= 0 {
		return nodes[at]
	}
	return wire.Node{}
}
