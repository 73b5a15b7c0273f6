package duties

import (
	"context"
	"time"

	"github.com/vstack/vstack/metastore/catalog/command"
)

// Judge is the leader's duty of judging stores, until ctx ends.
func (m *Member) Judge(ctx context.Context) {
	ticker := time.NewTicker(m.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		l, leads := m.Leading()
		if !leads {
			m.Monitor.Forget()
			continue
		}
		p := m.Monitor.Judge(l.Term, m.Catalog.View().Stores(), time.Now())
		if len(p.States) == 0 && len(p.Echoes) == 0 {
			continue
		}
		for _, t := range p.States {
			m.Logger.Info("store changes state", "store", t.ID, "to", t.State)
		}
		pctx, cancel := context.WithTimeout(ctx, ProposeTimeout)
		// What fails is judged again at the next tick.
		if _, err := m.Propose(pctx, command.SetLiveness, p); err != nil {
			m.Logger.Warn("commit the stores' states", "err", err)
		}
		cancel()
	}
}
