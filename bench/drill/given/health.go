package given

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
)

// askTimeout bounds one look at a given cluster's health.
const askTimeout = 5 * time.Second

type (
	// endpoint is where the roles of a host answer; a member's API comes first.
	endpoint struct {
		id     vstack.HostID
		addrs  []string
		member bool
	}
	endpoints []*endpoint
)

func (e *endpoints) add(id vstack.HostID, addr string, member bool) {
	if at := e.of(id); at != nil {
		at.addrs = append(at.addrs, addr)
		return
	}
	*e = append(*e, &endpoint{id, []string{addr}, member})
}

func (e endpoints) of(id vstack.HostID) *endpoint {
	for _, one := range e {
		if one.id == id {
			return one
		}
	}
	return nil
}

func (e endpoints) names() string {
	var out []string
	for _, one := range e {
		out = append(out, string(one.id))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// health returns the first thing that a healthy cluster would not have: a member that is
// missing or has no vote, a store that is not up, a role that is not ready.
func (g *Site) health(ctx context.Context) (endpoints, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var ends endpoints
	if err := g.membersHealth(ctx, &ends); err != nil {
		return nil, err
	}
	nodes, err := g.cluster.Meta.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		for _, s := range n.Stores {
			if s.State != vstack.StoreUp {
				return nil, fmt.Errorf("store %s of host %s is %s", s.Addr, n.Host, s.State)
			}
			ends.add(n.Host, s.Addr, false)
		}
	}
	m, err := g.cluster.Meta.RefreshPlacement(ctx)
	if err != nil {
		return nil, err
	}
	if !m.Ready() {
		return nil, fmt.Errorf("placement: %w", vstack.ErrNotReady)
	}
	return ends, g.rolesReady(ctx, ends)
}

func (g *Site) membersHealth(ctx context.Context, ends *endpoints) error {
	st, err := g.cluster.Meta.RaftStatus(ctx)
	if err != nil {
		return err
	}
	if st.Leader == "" {
		return fmt.Errorf("metadata cluster: %w", vstack.ErrNoLeader)
	}
	for _, p := range st.Peers {
		switch {
		case !p.Reached:
			return fmt.Errorf("member %s at %s does not answer", p.ID, p.API)
		case p.Standing != "member" || !p.Voter:
			return fmt.Errorf("member %s at %s has no vote: it is %s", p.ID, p.API, p.Standing)
		}
		ends.add(vstack.HostID(p.ID), p.API, true)
	}
	if st.Diverged {
		return fmt.Errorf("metadata cluster: two members have different catalogs at one index")
	}
	if st.CanFail < 1 {
		return fmt.Errorf("metadata cluster: it has %d members, and none may be lost", len(st.Peers))
	}
	return nil
}

// rolesReady asks every store and member, and the uploaders that clients know.
func (g *Site) rolesReady(ctx context.Context, ends endpoints) error {
	var grp errgroup.Group
	grp.SetLimit(16)
	ask := func(what, addr string) {
		grp.Go(func() error {
			if err := g.cluster.Get(ctx, addr, "/readyz", nil); err != nil {
				return fmt.Errorf("%s at %s is not ready: %w", what, addr, err)
			}
			return nil
		})
	}
	for _, e := range ends {
		for _, addr := range e.addrs {
			ask("host "+string(e.id), addr)
		}
	}
	for _, addr := range g.of.Client.Uploaders {
		ask("uploader", addr)
	}
	return grp.Wait()
}
