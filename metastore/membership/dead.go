package membership

import (
	"context"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// leastLeft is how many voters must be left, all of them healthy, for one to be removed by
	// itself: with fewer a dead one that comes back is worth more than a shorter list.
	leastLeft = 3
	// deadLook is how often the leader looks for members that are dead, at most.
	deadLook = 30 * time.Second
)

// RunDead is the leader's duty of removing voters that were dead for RemoveAfter.
func (m *Manager) RunDead(ctx context.Context) {
	if m.cfg.RemoveAfter < 0 {
		return
	}
	ticker := time.NewTicker(max(m.cfg.Tick, min(deadLook, m.cfg.RemoveAfter/10)))
	defer ticker.Stop()
	dead := silences{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, leads := m.cfg.Node.Leading(); !leads {
			clear(dead)
			continue
		}
		id := dead.look(m.askAll(ctx), time.Now(), m.cfg.RemoveAfter)
		if id == "" {
			continue
		}
		m.cfg.Logger.Warn("a member was dead for so long that it is removed", "id", id, "dead_for_at_least", m.cfg.RemoveAfter)
		if err := m.Remove(ctx, vstack.HostID(id)); err != nil {
			m.cfg.Logger.Warn("remove a dead member", "id", id, "err", err) // the next look tries again
		}
	}
}

// silences are the voters that are not healthy, by instance, and since when one leader has
// seen them so.
type silences map[string]time.Time

// look takes what the members say of themselves now, and answers who is to be removed; "" for
// nobody.
func (s silences) look(peers []wire.RaftPeer, now time.Time, after time.Duration) (id string) {
	good, bad := 0, 0
	seen := map[string]bool{}
	for _, p := range peers {
		switch {
		case !p.Voter:
		case healthy(p):
			good++
		default:
			bad++
			seen[p.Instance] = true
			if _, known := s[p.Instance]; !known {
				s[p.Instance] = now
			}
			if now.Sub(s[p.Instance]) >= after {
				id = p.ID
			}
		}
	}
	for instance := range s {
		if !seen[instance] {
			delete(s, instance)
		}
	}
	if bad != 1 || good < leastLeft {
		return ""
	}
	return id
}
