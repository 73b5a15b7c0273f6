package membership

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode"
)

// maxAddr bounds a HOST:PORT: a DNS name and a port.
const maxAddr = 270

// Add makes a process that waits for it a member without a vote. RunJoins gives it the
// vote once it has caught up.
func (m *Manager) Add(ctx context.Context, id vstack.HostID, req wire.AddPeerRequest) (wire.RaftPeer, error) {
	var p wire.RaftPeer
	for _, addr := range []string{req.Raft, req.API} {
		if host, _, err := net.SplitHostPort(addr); err != nil || host == "" || len(addr) > maxAddr || strings.ContainsAny(addr, "|/ ") {
			return p, fmt.Errorf("add member %s: address %.80q: %w: want HOST:PORT that the others dial", id, addr, vstack.ErrInvalid)
		}
	}
	if err := m.cfg.Ask(ctx, req.API, selfPath, &p); err != nil {
		// Not UNAVAILABLE: asking again, elsewhere, gives the same answer.
		return p, fmt.Errorf("add member %s: %w: start its process first, with meta.join: %v", id, vstack.ErrInvalid, err)
	}
	if level := m.cfg.Level(); p.Level.OrFirst() < level {
		return p, fmt.Errorf("add member %s: %w: its program knows level %d, the cluster is at %d", id, vstack.ErrLevelTooOld, p.Level.OrFirst(), level)
	}
	if err := m.mayJoin(string(id), req, p); err != nil {
		return p, fmt.Errorf("add member %s: %w", id, err)
	}
	if err := m.cfg.Node.Add(ctx, raftnode.Member{ID: p.ID, Instance: p.Instance, Addr: p.Raft, API: p.API}); err != nil {
		return p, err
	}
	m.cfg.Logger.Info("member added without a vote, until it has caught up", "id", p.ID, "instance", p.Instance, "raft", p.Raft)
	now, _ := m.cfg.Node.Member(p.ID)
	p.Reached, p.Voter, p.Cluster = true, now.Voter, m.cfg.Node.Genesis()
	return p, nil
}

// mayJoin judges what the new process says of itself.
func (m *Manager) mayJoin(id string, req wire.AddPeerRequest, p wire.RaftPeer) error {
	switch {
	case p.ID != id:
		return fmt.Errorf("%w: the process at %s is %q", vstack.ErrInvalid, req.API, p.ID)
	case p.Raft != req.Raft || p.API != req.API:
		return fmt.Errorf("%w: it is configured for %s and %s", vstack.ErrInvalid, p.Raft, p.API)
	case p.Standing == string(raftnode.Joining):
		return nil
	case p.Standing == string(raftnode.Belongs) && p.Cluster == m.cfg.Node.Genesis():
		return nil // a repeat, or an instance that raftnode.Add knows
	case p.Standing == string(raftnode.Belongs):
		return fmt.Errorf("%w: it is of another cluster, %s", vstack.ErrAlreadyExists, p.Cluster)
	}
	return fmt.Errorf("%w: it is %s: %s", vstack.ErrInvalid, p.Standing, p.Detail)
}

// MayRemove refuses to lose the last voter, and, unless forced, one without which those
// that answer are no majority. Who is no member may always be removed.
func (m *Manager) MayRemove(ctx context.Context, id vstack.HostID, force bool) error {
	of, known := m.cfg.Node.Member(string(id))
	if !known || !of.Voter {
		return nil
	}
	voters := m.cfg.Node.Voters()
	if len(voters) == 1 {
		return fmt.Errorf("remove member %s: %w: it is the last one that votes", id, vstack.ErrInvalid)
	}
	if force {
		return nil
	}
	answering := 0
	for _, p := range m.askAll(ctx) {
		if p.Voter && p.ID != of.ID && healthy(p) {
			answering++
		}
	}
	if left := len(voters) - 1; answering < left/2+1 {
		return fmt.Errorf("remove member %s: %w: of the %d that would be left %d answer", id, vstack.ErrQuorumAtRisk, left, answering)
	}
	return nil
}

// Remove takes a member out, other than this one.
func (m *Manager) Remove(ctx context.Context, id vstack.HostID) error {
	of, known := m.cfg.Node.Member(string(id))
	if !known {
		return nil // a repeat
	}
	if err := m.cfg.Node.Remove(ctx, of); err != nil {
		return err
	}
	m.cfg.Logger.Info("member removed", "id", of.ID, "instance", of.Instance)
	return nil
}
