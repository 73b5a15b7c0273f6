package levels

import (
	"fmt"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

// Report is who knows which level, in a cluster at level. heard is what a store last
// reported to this leader; false for one that it has not heard.
func Report(level vstack.Level, peers []wire.RaftPeer, stores []catalog.Store, heard func(vstack.StoreID) (vstack.Level, bool)) wire.LevelReport {
	out := wire.LevelReport{Level: level, Newest: vstack.NewestLevel, Allowed: vstack.NewestLevel,
		Members: []wire.ReportedLevel{}, Stores: []wire.ReportedLevel{}}
	for _, p := range peers {
		m := wire.ReportedLevel{ID: p.ID, Host: vstack.HostID(p.ID), Level: p.Level.OrFirst(), Silent: !p.Reached}
		out.Members = append(out.Members, m)
		out.Allowed = min(out.Allowed, m.Level)
	}
	for _, st := range stores {
		knows, ok := heard(st.ID)
		r := wire.ReportedLevel{ID: st.ID.String(), Host: st.Host, Level: knows.OrFirst(), Silent: !ok, Lost: st.State == vstack.StoreDown}
		out.Stores = append(out.Stores, r)
		if !r.Lost {
			out.Allowed = min(out.Allowed, r.Level)
		}
	}
	out.Allowed = max(out.Allowed, level)
	return out
}

// HoldUp names who keeps the level from being raised.
func HoldUp(r wire.LevelReport, level vstack.Level) string {
	var why []string
	for _, m := range r.Members {
		switch {
		case m.Silent:
			why = append(why, fmt.Sprintf("member %s does not answer", m.ID))
		case m.Level < level:
			why = append(why, fmt.Sprintf("member %s knows level %d", m.ID, m.Level))
		}
	}
	for _, st := range r.Stores {
		switch {
		case st.Lost:
		case st.Silent:
			why = append(why, fmt.Sprintf("store %s of host %s has not reported to this leader", st.ID, st.Host))
		case st.Level < level:
			why = append(why, fmt.Sprintf("store %s of host %s knows level %d", st.ID, st.Host, st.Level))
		}
	}
	return strings.Join(why, "; ")
}
