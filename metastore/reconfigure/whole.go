package reconfigure

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Claim is what a store said of one group.
type Claim struct {
	Epoch vstack.Epoch // that its view had in force
	// Complete is the highest index through which it lacks nothing of the group, Surveyed
	// the one through which its view knew the group; 0 while the view reads it.
	Complete, Surveyed uint64
	// Readable is Complete for what keeps videos readable, at least Complete.
	Readable uint64
}

// Claims are what a store said of its groups.
type Claims map[vstack.PG]Claim

// Whole is what all targets of a group's epoch in force said together.
type Whole struct {
	Epoch vstack.Epoch
	// Index is the lowest claim, Surveyed the highest index of a survey.
	Index, Surveyed uint64
	// Missing are the targets that are not heard or said nothing of this epoch. While there
	// are any the group is whole through no index, and nothing of it is dropped.
	Missing []vstack.StoreID
}

// Wholes tells of groups through which index they are whole.
type Wholes struct {
	state State
	heard map[vstack.StoreID]bool
}

// NewWholes indexes a state.
func NewWholes(s State) *Wholes {
	w := &Wholes{state: s, heard: make(map[vstack.StoreID]bool, len(s.Map.Stores))}
	for _, st := range s.Map.Stores {
		w.heard[st.ID] = st.State == vstack.StoreUp && !s.Silent[st.ID]
	}
	return w
}

// Of tells of one group. Every target counts, and only what it said in the epoch in force:
// one that joined has said of the epoch before that it lacks nothing, for it had nothing
// to hold.
func (w *Wholes) Of(pg vstack.PG) Whole {
	g := w.state.Map.Groups[pg]
	out := Whole{Epoch: g.Epoch}
	for i, id := range g.Targets {
		c, said := w.state.Claims[id][pg]
		if !w.heard[id] || !said || c.Epoch != g.Epoch {
			out.Missing = append(out.Missing, id)
			continue
		}
		out.Surveyed = max(out.Surveyed, c.Surveyed)
		if i == 0 || c.Complete < out.Index {
			out.Index = c.Complete
		}
	}
	if len(out.Missing) > 0 {
		out.Index = 0
	}
	return out
}

// Claim is what a target of a group's epoch in force said, if it is heard and said it of this
// epoch.
func (w *Wholes) Claim(pg vstack.PG, id vstack.StoreID) (Claim, bool) {
	c, said := w.state.Claims[id][pg]
	return c, said && w.heard[id] && c.Epoch == w.state.Map.Groups[pg].Epoch
}

// Holders says of each target of which Claim knows something through which index it has what
// keeps videos readable.
func (w *Wholes) Holders(pg vstack.PG) map[vstack.StoreID]uint64 {
	g := w.state.Map.Groups[pg]
	out := make(map[vstack.StoreID]uint64, len(g.Targets))
	for _, id := range g.Targets {
		if c, said := w.Claim(pg, id); said {
			out[id] = c.Readable
		}
	}
	return out
}

// Leavers counts the stores that are heard, are no targets of a group any more, and have
// something of it still.
func (w *Wholes) Leavers(pg vstack.PG) (n int) {
	g := w.state.Map.Groups[pg]
	for id, claims := range w.state.Claims {
		if _, said := claims[pg]; said && w.heard[id] && g.Index(id) < 0 && !g.Takes(id) {
			n++
		}
	}
	return n
}

// Stuck counts, by target that is not heard and that nothing replaces, the groups in which
// nothing is dropped while it is away.
func (w *Wholes) Stuck() map[vstack.StoreID]int {
	out := map[vstack.StoreID]int{}
	for _, g := range w.state.Map.Groups {
		for _, id := range g.Targets {
			if !w.heard[id] && (g.Next == nil || slices.Contains(g.Next.Targets, id)) {
				out[id]++
			}
		}
	}
	return out
}
