package datanode

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// drives says whether a host may change a group's epoch: one with a store in the cluster,
// and where the change is known, only the host whose store drives it. A store that lags
// behind the catalog, or is told after the change, does not know which that is.
func (s *Server) drives(host vstack.HostID, pg vstack.PG) error {
	m := s.follower.Placement()
	if !m.Ready() || int(pg) >= len(m.Groups) {
		return fmt.Errorf("group %d: %w: no placement map has it yet", pg, vstack.ErrCatalogLagging)
	}
	if next := m.Groups[pg].Next; next != nil {
		if by, ok := m.Store(next.Driver); ok && by.Host != host {
			return fmt.Errorf("group %d: %w: host %q drives its change, not %q", pg, vstack.ErrForbidden, by.Host, host)
		}
	}
	for _, st := range m.Stores {
		if st.Host == host {
			return nil
		}
	}
	return fmt.Errorf("group %d: %w: host %q has no store in this cluster", pg, vstack.ErrForbidden, host)
}
