package upkeep

import (
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// Balance says what sharing out the roles would do. used is what each store has on disk, as
// it last reported.
func Balance(s reconfigure.State, state vstack.Balance, used map[vstack.StoreID]int64) (wire.BalanceReport, error) {
	out := wire.BalanceReport{State: state, Stores: []wire.StoreBalance{}}
	if !s.Map.Ready() {
		return out, nil
	}
	plan, err := reconfigure.Shares(s)
	if err != nil {
		return out, err
	}
	out.Groups, out.Roles, out.Added, out.Worst = plan.Groups, plan.Roles, plan.Added, plan.Worst
	now, votes := map[vstack.StoreID]int{}, map[vstack.StoreID]int{}
	roles := 0
	for _, g := range s.Map.Groups {
		for i, id := range g.Targets {
			now[id]++
			roles++
			if i < vstack.Acceptors {
				votes[id]++
			}
		}
	}
	var bytes int64
	for _, st := range s.Map.Stores {
		bytes += used[st.ID]
		out.Stores = append(out.Stores, wire.StoreBalance{Store: st.ID, Host: st.Host, Now: now[st.ID], Then: plan.Then[st.ID], Votes: votes[st.ID], Used: used[st.ID]})
	}
	if roles > 0 {
		out.Bytes = bytes / int64(roles) * int64(out.Roles)
	}
	return out, nil
}
