package metastore

import (
	"context"
	"time"

	"github.com/vstack/vstack/metastore/catalog"
)

// proposeTimeout bounds a leader's own writes.
const proposeTimeout = 5 * time.Second

// runMonitor is the leader's duty of judging stores.
func (s *Server) runMonitor(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		l, leads := s.node.Leading()
		if !leads {
			s.monitor.Forget()
			continue
		}
		p := s.monitor.Judge(l.Term, s.catalog.View().Stores(), time.Now())
		if len(p.States) == 0 && len(p.Echoes) == 0 {
			continue
		}
		for _, t := range p.States {
			s.cfg.Logger.Info("store changes state", "store", t.ID, "to", t.State)
		}
		pctx, cancel := context.WithTimeout(ctx, proposeTimeout)
		// What fails is judged again at the next tick.
		if _, err := s.propose(pctx, catalog.SetLiveness, p, ""); err != nil {
			s.cfg.Logger.Warn("commit the stores' states", "err", err)
		}
		cancel()
	}
}
