package drill

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode"
)

// joinersOf is how many hosts join in a repetition of resize, and how many leave again.
const joinersOf = 2

// runResize takes the metadata cluster from three to five members and back, one change
// after the other. In odd repetitions the leader and another old member leave, in even
// ones those that have just joined; who has left joins in the next, as a new member.
func runResize(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	joiners, err := s.joiners(ctx)
	if err != nil {
		return nil, err
	}
	var victims []site.Host
	for _, h := range joiners {
		victims = append(victims, h)
	}
	t := s.fault(victims...)
	for _, h := range joiners {
		if err := s.join(ctx, t, h); err != nil {
			return t, fmt.Errorf("host %s joins: %w", h.ID(), err)
		}
	}
	for i := range joinersOf {
		leader, term, err := s.leader(ctx)
		if err != nil {
			return t, err
		}
		h := joiners[i]
		if n%2 == 1 {
			h = s.leaver(joiners, leader, i)
		}
		if err := s.leave(ctx, t, h, leader, term); err != nil {
			return t, fmt.Errorf("host %s leaves: %w", h.ID(), err)
		}
	}
	return t, s.awaitWrite(ctx, time.Now())
}

// leaver is first the leader, if it is an old member, and then any other old one.
func (s *session) leaver(joiners []*labHost, leader site.Host, i int) *labHost {
	var old []*labHost
	for _, h := range s.hosts {
		if l := h.(*labHost); !l.process.Outside && !slices.Contains(joiners, l) {
			old = append(old, l)
		}
	}
	for _, h := range old {
		if (i == 0) == (site.Host(h) == leader) {
			return h
		}
	}
	return old[0]
}

// joiners are the hosts that are no members; the first time they are made. Their
// metastores wait to be added.
func (s *session) joiners(ctx context.Context) ([]*labHost, error) {
	p, ok := s.site.(*place)
	if !ok {
		return nil, fmt.Errorf("add hosts: %w: only to a lab of the drill's own", vstack.ErrInvalid)
	}
	var out []*labHost
	for _, h := range s.hosts {
		if l := h.(*labHost); l.process.Outside {
			if err := l.process.Stop(); err != nil {
				return nil, err
			}
			if err := l.process.Forget(); err != nil {
				return nil, err
			}
			out = append(out, l)
		}
	}
	for len(out) < joinersOf {
		l, err := p.grow()
		if err != nil {
			return nil, err
		}
		api, err := l.api()
		if err != nil {
			return nil, err
		}
		s.hosts, s.members = append(s.hosts, l), append(s.members, api)
		out = append(out, l)
	}
	for _, h := range out {
		if err := h.process.Start(); err != nil {
			return nil, err
		}
		if err := s.awaitStanding(ctx, h, raftnode.Joining); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// grow makes one more host of the lab.
func (p *place) grow() (*labHost, error) {
	last := p.lab.Hosts[len(p.lab.Hosts)-1]
	at, err := netip.ParseAddr(last.Addr())
	if err != nil {
		return nil, fmt.Errorf("address of another host, after that of %s: %w: %w", last.ID, vstack.ErrInvalid, err)
	}
	i := len(p.lab.Hosts)
	h, err := p.lab.Add(lab.HostSpec{ID: vstack.HostID(fmt.Sprintf("h%d", i+1)), Addr: at.Next().String()}, true)
	if err != nil {
		return nil, err
	}
	return &labHost{process: h, place: p, index: i}, nil
}

// api is where the host's metastore serves.
func (h *labHost) api() (string, error) {
	self, ok := h.process.Config.Self()
	if !ok {
		return "", fmt.Errorf("host %s: %w: it has no metastore", h.ID(), vstack.ErrInvalid)
	}
	return self.API, nil
}

// awaitStanding waits until a host's metastore says that it is in a standing.
func (s *session) awaitStanding(ctx context.Context, h *labHost, want raftnode.Standing) error {
	api, err := h.api()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	last := "it does not answer"
	for {
		p, err := s.self(ctx, api)
		if err == nil && p.Standing == string(want) {
			return nil
		}
		if err == nil {
			last = "it is " + p.Standing + ": " + p.Detail
		}
		if !sleep.For(ctx, pollEvery) {
			return fmt.Errorf("wait for host %s to be %s: %w: %s", h.ID(), want, context.Cause(ctx), last)
		}
	}
}

// join adds a member and waits until it votes.
func (s *session) join(ctx context.Context, t *report.Timeline, h *labHost) error {
	self, ok := h.process.Config.Self()
	if !ok {
		return fmt.Errorf("%w: it has no metastore", vstack.ErrInvalid)
	}
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	s.took(t, "%s is to be a member", h.ID())
	st, err := s.cluster.JoinMember(ctx, h.ID(), self.Raft, self.API, func(string) {})
	if err != nil {
		return err
	}
	h.process.Outside = false
	t.Event(report.EventMend, "%s votes, one of %d", h.ID(), len(st.Peers))
	return nil
}

// leave removes a member and waits until it knows.
func (s *session) leave(ctx context.Context, t *report.Timeline, h *labHost, leader site.Host, term uint64) error {
	role := ""
	if site.Host(h) == leader {
		role = fmt.Sprintf(", leader of term %d,", term)
		watch := s.watch(ctx, t, time.Now(), term)
		defer watch.stop()
	}
	s.took(t, "%s%s is to leave", h.ID(), role)
	h.process.Outside = true
	st, err := s.cluster.LeaveMember(ctx, h.ID(), false)
	if err != nil {
		return err
	}
	t.Event(report.EventMend, "%s is a member no more, %d are", h.ID(), len(st.Peers))
	return s.awaitStanding(ctx, h, raftnode.Removed)
}
