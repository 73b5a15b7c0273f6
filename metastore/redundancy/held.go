package redundancy

import (
	"slices"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/placement"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// State is what the figures are made of.
type State struct {
	Map *vstack.PlacementMap
	// Claim is what a target of a group's epoch in force said last; false of one that is not
	// heard, or said nothing of this epoch.
	Claim func(vstack.PG, vstack.StoreID) (reconfigure.Claim, bool)
	// Floor is the least that counts as a ClassIndex.
	Floor uint64
}

// Judge answers what may fail. It remembers what it worked out, and is of one state.
type Judge struct {
	state  State
	claims [vstack.PlacementGroups][]reconfigure.Claim // of the targets; zero for none
	borne  map[form]wire.Bears
}

// form is in which pieces of a group something lies, and which of its targets hold them: a bit
// each.
type form struct {
	pg     vstack.PG
	scheme vstack.Scheme
	held   uint32
}

// lost is what is borne where not enough is known to be held.
var lost = wire.Bears{Hosts: -1, Stores: -1}

// most is what nothing narrows.
var most = wire.Bears{Hosts: vstack.MaxFragments, Stores: vstack.MaxFragments}

// NewJudge makes one of a state whose map is ready.
func NewJudge(s State) *Judge {
	j := &Judge{state: s, borne: map[form]wire.Bears{}}
	for pg, g := range s.Map.Groups {
		j.claims[pg] = make([]reconfigure.Claim, len(g.Targets))
		for i, id := range g.Targets {
			if c, said := s.Claim(vstack.PG(pg), id); said {
				j.claims[pg][i] = c
			}
		}
	}
	return j
}

// holds reports whether a claim says that a store has what keeps a video readable. One that
// knows the video's class says it of that. One that does not yet says it of the class before,
// in which it lacked nothing: that is what this class needs, or what it is on its way from,
// and nothing of it goes before the store knows more.
func holds(c reconfigure.Claim, index, before uint64) bool {
	if c.Surveyed >= index {
		return c.Readable >= index
	}
	return before > 0 && c.Complete >= before
}

// group says what is borne in one group of what lies in copies, or in the fragments of a
// scheme, of a video.
func (j *Judge) group(pg vstack.PG, scheme vstack.Scheme, index, before uint64) wire.Bears {
	f := form{pg: pg, scheme: scheme}
	for i, c := range j.claims[pg] {
		if holds(c, index, before) {
			f.held |= 1 << i
		}
	}
	of, known := j.borne[f]
	if !known {
		g := j.state.Map.Groups[pg]
		stores, need := placement.Holders(g, scheme)
		hosts, n := placement.Tolerance(slices.DeleteFunc(slices.Clone(stores), func(id vstack.StoreID) bool { return f.held>>g.Index(id)&1 == 0 }), need, j.state.Map)
		of = wire.Bears{Hosts: hosts, Stores: n}
		j.borne[f] = of
	}
	return of
}

// video says what a video bears, and calls each with what it bears in each of its groups.
func (j *Judge) video(e *entry, each func(vstack.PG, wire.Bears)) wire.Bears {
	scheme := e.Layout.Scheme
	if !e.Class.Fragments() {
		scheme = vstack.Scheme{}
	}
	index := max(e.ClassIndex, j.state.Floor, 1)
	out := most
	for pg := range vstack.PG(vstack.PlacementGroups) {
		of := most
		if e.kept.has(pg) {
			of = j.group(pg, vstack.Scheme{}, index, e.ClassBefore)
		}
		if e.coded.has(pg) {
			of = Worse(of, j.group(pg, scheme, index, e.ClassBefore))
		}
		if of == most {
			continue
		}
		each(pg, of)
		out = Worse(out, of)
	}
	return out
}

// Video says what a published video bears, by what is known to be held of it.
func (j *Judge) Video(v vstack.Video, m *vstack.Manifest) wire.Bears {
	return j.video(&entry{Video: v, parts: partsOf(m, v.Layout)}, func(vstack.PG, wire.Bears) {})
}

// Worse is the less of two.
func Worse(a, b wire.Bears) wire.Bears {
	return wire.Bears{Hosts: min(a.Hosts, b.Hosts), Stores: min(a.Stores, b.Stores)}
}

// Sum judges every video that the ledger knows: the worst of all, of each group, and how many
// bear less than a number of hosts.
func (l *Ledger) Sum(j *Judge, wantHosts int) wire.Redundancy {
	out := wire.Redundancy{Classes: map[vstack.StorageClass]wire.Tally{}, Videos: len(l.videos), Behind: l.behind}
	worst := most
	var byGroup [vstack.PlacementGroups]wire.Bears
	for pg := range byGroup {
		byGroup[pg] = most
	}
	for _, e := range l.videos {
		out.Classes[e.Class] = tally(out.Classes[e.Class], e.Video)
		of := j.video(e, func(pg vstack.PG, b wire.Bears) { byGroup[pg] = Worse(byGroup[pg], b) })
		if of == most {
			continue
		}
		worst = Worse(worst, of)
		switch {
		case of.Stores < 0:
			out.Unproven++
		case of.Hosts < wantHosts:
			out.Below++
		}
	}
	if worst != most {
		out.Bears = &worst
	}
	for pg, b := range byGroup {
		if b != most {
			out.Groups = append(out.Groups, wire.GroupBears{PG: vstack.PG(pg), Bears: b})
		}
	}
	return out
}
