package membership

import (
	"context"
	"time"

	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode"
)

// joinLag is how many entries a new member may lack when it gets its vote.
const joinLag = 64

// RunJoins is the leader's duty of giving members their vote once they have caught up,
// and of giving up those that never do.
func (m *Manager) RunJoins(ctx context.Context) {
	ticker := time.NewTicker(m.cfg.Tick)
	defer ticker.Stop()
	joins := map[string]joiner{} // by instance
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, leads := m.cfg.Node.Leading(); !leads {
			clear(joins)
			continue
		}
		next := map[string]joiner{}
		for _, of := range m.cfg.Node.Members() {
			if of.Voter {
				continue
			}
			j, ok := joins[of.Instance]
			if !ok {
				j = joiner{time.Now(), m.cfg.Node.Status().LastIndex}
			}
			next[of.Instance] = j
			m.join(ctx, of, j)
		}
		joins = next
	}
}

// joiner is when this leader first saw a member without a vote, and where its own log
// ended then: with the entry that made it a member, or after it.
type joiner struct {
	since time.Time
	last  uint64
}

// join looks at one member without a vote.
func (m *Manager) join(ctx context.Context, of raftnode.Member, j joiner) {
	actx, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	p := m.ask(actx, of)
	if m.caughtUp(p, j.last) {
		if err := m.cfg.Node.Promote(ctx, of); err != nil {
			m.cfg.Logger.Warn("give a member its vote", "id", of.ID, "err", err)
			return
		}
		m.cfg.Logger.Info("member has caught up and votes", "id", of.ID, "instance", of.Instance, "after", time.Since(j.since).Round(time.Millisecond))
		return
	}
	waited := time.Since(j.since)
	if waited <= m.cfg.JoinTimeout {
		return
	}
	m.cfg.Logger.Error("member did not catch up and is removed", "id", of.ID, "instance", of.Instance, "after", waited.Round(time.Millisecond),
		"reached", p.Reached, "last_index", p.LastIndex, "want", m.cfg.Node.Status().Commit)
	if err := m.cfg.Node.Remove(ctx, of); err != nil {
		m.cfg.Logger.Warn("remove a member that did not catch up", "id", of.ID, "err", err)
	}
}

// caughtUp reports whether a member follows this leader and lacks next to nothing. It must
// have stored the entries up to the one that made it a member: in a young cluster one that
// can store nothing lacks next to nothing, too.
func (m *Manager) caughtUp(p wire.RaftPeer, last uint64) bool {
	st := m.cfg.Node.Status()
	return p.Reached && p.Standing == string(raftnode.Belongs) && p.Term == st.Term && follows(p) &&
		p.LastIndex >= last && p.LastIndex+joinLag >= st.Commit && p.Applied+joinLag >= m.cfg.Applied()
}
