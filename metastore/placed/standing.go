package placed

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// Of is what the catalog says of epochs; what stores say of themselves is not in it.
func Of(view *catalog.View) reconfigure.State {
	_, paused := view.Redundancy()
	s := reconfigure.State{Map: view.Placement(), Wanted: map[vstack.StoreID]vstack.StoreID{}, Balance: view.Balance() == vstack.BalanceRunning && !paused, Now: time.Now()}
	for _, st := range view.Stores() {
		if !st.With.IsZero() {
			s.Wanted[st.ID] = st.With
		}
	}
	return s
}

// Placement is what the readiness page says of the placement.
func Placement(view *catalog.View) string {
	state := Of(view)
	if !state.Map.Ready() {
		// Not an error: the catalog serves, and uploads are told NOT_READY.
		return fmt.Sprintf("waits for stores: %d have registered", len(state.Map.Stores))
	}
	preparing, held := 0, 0
	for _, g := range state.Map.Groups {
		if g.Next != nil {
			preparing++
		}
	}
	roles, err := reconfigure.Stay(state)
	for _, n := range roles {
		held += n
	}
	out := []string{"assigned"}
	switch {
	case err != nil:
		out = append(out, err.Error())
	case preparing+held > 0:
		out = append(out, fmt.Sprintf("%d groups change their epoch; %d roles of leaving stores have no taker", preparing, held))
	}
	if stuck := stuckDetail(state); stuck != "" {
		out = append(out, stuck)
	}
	return strings.Join(out, "; ")
}

// stuckDetail says which stores keep what has been left from being dropped; empty for none.
func stuckDetail(state reconfigure.State) string {
	stuck := reconfigure.NewWholes(state).Stuck()
	var out []string
	for _, id := range slices.SortedFunc(maps.Keys(stuck), func(a, b vstack.StoreID) int {
		return cmp.Or(cmp.Compare(stuck[b], stuck[a]), slices.Compare(a[:], b[:]))
	}) {
		out = append(out, fmt.Sprintf("store %s is away: nothing is dropped in %d groups until it returns or is replaced", id, stuck[id]))
	}
	return strings.Join(out, "; ")
}
