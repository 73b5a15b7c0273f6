package converge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// maxWanted bounds what one pass fetches; the rest is counted, and is the next pass's.
const maxWanted = 16 << 10

// want is what should be here of a chunk and is not, with a slot whose targets have it.
type want struct {
	slot   vstack.Slot
	value  vstack.Value
	lacks  permit.Desire
	class  vstack.StorageClass
	scheme vstack.Scheme // of the fragments that peers have of it; zero for copies
	rot    bool          // it is here, and damaged
	rank   rank
	spare  int // holders beyond those that it takes; of rankShort and rankBalance
}

// plan is what a survey found.
type plan struct {
	*permit.Survey
	answer  permit.Answer // that it was made with
	missing []*want       // at most 2 maxWanted, in no order
	lacking int64         // all chunks of which something is missing
}

// survey compares what the store must hold with what it holds.
func (l *Loop) survey() (plan, error) {
	p := plan{answer: l.cfg.Answer()}
	known := l.cfg.Groups.Known()
	view := l.cfg.Catalog.Snapshot()
	defer view.Close()
	p.Survey = permit.NewSurvey(l.cfg.Disk.ID(), known, p.answer.Floor, view)
	bad := l.knownBad()
	seen := map[vstack.ChunkID]*want{} // of missing: slots may share a chunk
	for pg, yes := range known {
		if !yes {
			continue
		}
		err := view.References(vstack.PG(pg), func(r catalog.Reference) bool {
			l.compare(&p, r, bad, seen)
			return true
		})
		if err != nil {
			return p, fmt.Errorf("survey group %d: %w", pg, err)
		}
	}
	return p, nil
}

// compare takes one reference into a plan.
func (l *Loop) compare(p *plan, r catalog.Reference, bad map[vstack.ChunkID]struct{}, seen map[vstack.ChunkID]*want) {
	var held []permit.Held
	chunk := false // lies here, whole or damaged
	rot := false   // the fragment that should be here is, and is damaged
	for _, info := range l.cfg.Disk.Pieces(r.Chunk) {
		h := permit.Held{Piece: info.Piece, Damaged: info.Bad}
		if info.Piece.IsChunk() {
			chunk = true
			if _, damaged := bad[r.Chunk]; damaged {
				h.Damaged = true
			} else if info.Bad && p.Desire(r).Chunk {
				l.Corrupt(r.Chunk)
			}
		} else if info.Bad {
			rot = rot || p.Desire(r).Fragment == info.Piece
		}
		held = append(held, h)
	}
	lacks := p.Add(r, held)
	if chunk { // and damaged: healed in its own way
		lacks.Chunk = false
	}
	if lacks == (permit.Desire{}) {
		return
	}
	w := &want{slot: r.Slot, value: vstack.Value{Chunk: r.Chunk, Size: r.Size}, lacks: lacks, class: r.Class, rot: rot}
	if r.Class.Fragments() {
		w.scheme = r.Scheme
	}
	w.judge(p.answer, r.ClassIndex)
	if first, again := seen[r.Chunk]; again { // another reference lacks it, too
		first.join(w)
		return
	}
	seen[r.Chunk] = w
	p.lacking++
	if p.missing = append(p.missing, w); len(p.missing) >= 2*maxWanted {
		inOrder(p.missing)
		p.missing = p.missing[:maxWanted]
	}
}

// join adds what another reference to the chunk lacks. A second fragment is the next pass's.
func (w *want) join(o *want) {
	w.lacks.Chunk = w.lacks.Chunk || o.lacks.Chunk
	if w.lacks.Fragment.IsChunk() {
		w.lacks.Fragment = o.lacks.Fragment
	}
	if o.rank < w.rank || o.rank == w.rank && o.spare < w.spare {
		w.class, w.rank, w.spare = o.class, o.rank, o.spare
	}
	if o.scheme.IsZero() { // somebody has it as a copy
		w.scheme = o.scheme
	}
}

// knownBad is a copy of the damaged chunks that are not healed yet.
func (l *Loop) knownBad() map[vstack.ChunkID]struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.corrupt)
}

// tell keeps what a survey found, for Claims.
func (l *Loop) tell(p plan) {
	claims := p.Claims()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims = claims
}

// Claims are what the store says of its groups, as of the last survey; nil before the first.
func (l *Loop) Claims() []wire.GroupClaim {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.claims
}

// Behind is the same in the words of a leader from before there were claims: the groups of
// which the store lacks anything, and the index through which it knows all of its groups.
func (l *Loop) Behind() (index uint64, groups []vstack.PG) {
	claims := l.Claims()
	if len(claims) == 0 {
		return 0, nil
	}
	index = slices.MinFunc(claims, func(a, b wire.GroupClaim) int { return cmp.Compare(a.Surveyed, b.Surveyed) }).Surveyed
	for _, c := range claims {
		if c.Complete < c.Surveyed {
			groups = append(groups, c.PG)
		}
	}
	return index, groups
}
