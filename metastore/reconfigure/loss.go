package reconfigure

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Loss is a group without a majority of acceptors that are up and remember their votes: it
// takes no writes, and its epoch cannot end as others do, since nobody could say what was
// chosen in it. Either they return, or an operator gives their votes up.
type Loss struct {
	PG      vstack.PG
	From    vstack.Epoch // in force
	To      vstack.Epoch // that begins with no votes, beyond every one that is prepared
	Down    []vstack.StoreID
	Amnesic []vstack.StoreID
	// Targets are those of To. Nil where too few stores are up to vote in it.
	Targets []vstack.StoreID
}

// Losses are the groups without a majority, by what the planner knows of amnesia.
func (p *Planner) Losses(s State) ([]Loss, error) {
	v := survey(s, p.forgotten(s))
	var out []Loss
	var gone []vstack.StoreID
	for pg, g := range s.Map.Groups {
		group := vstack.PG(pg)
		if v.majority(group, g.Acceptors()) {
			continue
		}
		l := Loss{PG: group, From: g.Epoch, To: g.Epoch + 1}
		if g.Next != nil {
			l.To = g.Next.Epoch + 1 // pages of its install may be gone with the votes
		}
		for _, id := range g.Acceptors() {
			switch {
			case v.down(id):
				l.Down = append(l.Down, id)
			case slices.Contains(v.amnesic[group], id):
				l.Amnesic = append(l.Amnesic, id)
			}
		}
		for _, id := range g.Targets {
			if v.down(id) && !slices.Contains(gone, id) {
				gone = append(gone, id)
			}
		}
		out = append(out, l)
	}
	if len(out) == 0 {
		return nil, nil
	}
	// All that are down leave together: who votes next is to be there.
	targets, err := v.without(s, gone...)
	if err != nil {
		return nil, fmt.Errorf("targets without what is down: %w", err)
	}
	v.amnesic = nil // a new epoch ends what they are barred from
	for i := range out {
		to := targets[out[i].PG]
		if to == nil {
			to = s.Map.Groups[out[i].PG].Targets
		}
		if v.majority(out[i].PG, to[:min(vstack.Acceptors, len(to))]) {
			out[i].Targets = to
		}
	}
	return out, nil
}
