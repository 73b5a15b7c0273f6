package converge

import (
	"cmp"
	"slices"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/internal/vstack"
)

// rank orders what is brought: what is short of holders before what is merely on its way.
type rank uint8

const (
	// rankShort is what keeps a video readable and has fewer holders than it should.
	rankShort rank = iota
	rankWarming
	rankCooling
	// rankBalance has all its holders elsewhere, stores that have left and wait to drop it
	// among them.
	rankBalance
)

// unsaid is the number of holders to spare of what nobody says anything about: behind what
// is known to be short, before what is known to be complete.
const unsaid = 1 << 8

// judge sets how urgent a want is that one reference makes.
func (w *want) judge(a permit.Answer, index uint64) {
	if !w.lacks.KeepsReadable(w.class, w.scheme) {
		if w.rank = rankCooling; w.class == vstack.ClassWarming {
			w.rank = rankWarming
		}
		return
	}
	w.rank, w.spare = rankShort, unsaid
	short, said := a.Short[w.slot.PG()]
	if !said {
		return
	}
	need, all := 1, vstack.Acceptors
	if !w.scheme.IsZero() {
		need, all = int(w.scheme.K), w.scheme.Total()
	}
	holders := short.Leavers
	for _, through := range short.Holders {
		if through >= max(index, a.Floor, 1) {
			holders++
		}
	}
	if w.spare = max(holders-need, -1); holders >= all {
		w.rank = rankBalance
	}
}

// moves reports whether a want only brings a video further on its way to another class.
func (w *want) moves() bool { return w.rank == rankWarming || w.rank == rankCooling }

// inOrder sorts wants by what is most urgent: the fewest holders to spare, and of equals what
// is rotten before what is missing. The other ranks follow as they are.
func inOrder(wants []*want) {
	rot := func(w *want) int {
		if w.rot {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(wants, func(a, b *want) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.spare, b.spare), cmp.Compare(rot(a), rot(b)))
	})
}
