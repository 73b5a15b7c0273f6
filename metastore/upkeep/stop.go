package upkeep

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// OKToStop says why a host must not be stopped now: which groups could not be written then,
// and which videos could not be read. left is what is known to be held without the host.
func OKToStop(s reconfigure.State, host vstack.HostID, left wire.Redundancy) (reasons []string) {
	mute := 0
	for _, g := range s.Map.Groups {
		votes := 0
		for _, id := range g.Acceptors() {
			if st, ok := s.Map.Store(id); ok && st.Host != host && st.State == vstack.StoreUp && !s.Silent[id] {
				votes++
			}
		}
		if votes < vstack.Majority {
			mute++
		}
	}
	if mute > 0 {
		reasons = append(reasons, fmt.Sprintf("%d of %d groups would have no majority of their voters: uploads would stand still", mute, len(s.Map.Groups)))
	}
	if left.Unproven > 0 {
		reasons = append(reasons, fmt.Sprintf("of %d videos it is not known that they could be read without it: the stores that are left lack something, or have not said yet what they have", left.Unproven))
	}
	if left.Behind {
		reasons = append(reasons, "the leader has not looked at every video yet: ask again in a few seconds")
	}
	return reasons
}
