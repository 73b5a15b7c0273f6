package permit

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/soak"
	"github.com/vstack/vstack/internal/vstack"
)

// unfulfilled are schedules in which so many stores are ordered to leave that a lost one has
// no successor.
var unfulfilled = []uint64{16799, 18039}

// crossed are schedules in which a leader hears a store's present process first, and then a late
// report of the one before.
var crossed = []uint64{14521}

// simSchedules is what a run without a soak explores.
const simSchedules = 100

// run plays one schedule and then lets the cluster settle.
func run(seed uint64, m mutant) (w *world, err error) {
	w = newWorld(seed, m)
	for range 60 + w.rnd.IntN(200) {
		w.event()
		if err := w.check(); err != nil {
			return w, err
		}
	}
	return w, w.settle()
}

// event is one thing that happens.
func (w *world) event() {
	n := w.nodes[w.rnd.IntN(len(w.nodes))]
	switch k := w.rnd.IntN(108); {
	case k >= 100:
		w.calm()
	case k < 18:
		if n.up {
			w.pass(n, false)
		}
	case k < 34:
		if n.up { // a member that lags by a few entries, as often as not
			at := len(w.history) - 1
			if w.rnd.IntN(2) == 0 {
				at = max(0, at-w.rnd.IntN(8))
			}
			w.poll(n, w.history[at])
		}
	case k < 46:
		if n.up {
			w.send(n)
		}
	case k < 58:
		if len(w.beats) > 0 {
			i := w.rnd.IntN(len(w.beats))
			w.deliver(i)
		}
	case k < 66:
		if len(w.replies) > 0 {
			w.receive(w.rnd.IntN(len(w.replies)))
		}
	case k < 78:
		w.now = w.now.Add(time.Duration(w.rnd.IntN(2000)) * time.Millisecond)
		w.judge()
	case k < 84:
		w.look()
	case k < 89:
		w.activate(w.rnd.IntN(simGroups))
	case k < 93:
		w.edit()
	default:
		w.fault(n, k)
	}
}

// calm is a second in which all goes as it should, but for bytes, which are slow, and a
// few messages that are late.
func (w *world) calm() {
	w.now = w.now.Add(time.Second)
	for _, n := range w.nodes {
		if n.up {
			w.poll(n, w.state())
			w.pass(n, false)
			w.send(n)
		}
	}
	for i := len(w.beats) - 1; i >= 0; i-- {
		if w.rnd.IntN(10) > 0 {
			w.deliver(i)
		}
	}
	for i := len(w.replies) - 1; i >= 0; i-- {
		if w.rnd.IntN(10) > 0 {
			w.receive(i)
		}
	}
	w.judge()
}

// edit is what clients and operators do.
func (w *world) edit() {
	s := w.state()
	films := slices.SortedFunc(maps.Keys(s.films), func(a, b vstack.VideoID) int { return slices.Compare(a[:], b[:]) })
	k := w.rnd.IntN(10)
	switch {
	case k < 4 || len(films) == 0:
		w.publish()
	case k < 5:
		w.commit(func(s *state) { delete(s.films, films[w.rnd.IntN(len(films))]) })
		for id, uses := range w.state().live() { // what was held for the film is nobody's
			w.base[id] = min(w.base[id], strength(w.holders(id, uses, anyNode)))
		}
	case k < 7: // a title, or a class, which is committed blindly: no byte rests on the steps
		w.commit(func(s *state) {
			id := films[w.rnd.IntN(len(films))]
			f := s.films[id]
			f.row = s.index
			if w.rnd.IntN(4) == 0 && w.fits() {
				f.classIndex = s.index
				f.class = []vstack.StorageClass{vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming}[w.rnd.IntN(4)]
			}
			s.films[id] = f
		})
	default:
		i := w.rnd.IntN(len(s.m.Stores))
		if s.m.Stores[i].Leaving == "" && w.roles(s.m.Stores[i].ID) > 0 {
			w.commit(func(s *state) { s.m.Stores[i].Leaving = vstack.LeaveOrdered })
		}
	}
}

// fault is what fails: processes, leaders, disks. No more disks fail than copies allow, as
// far as those that were there are still there.
func (w *world) fault(n *node, k int) {
	switch {
	case k < 94:
		if w.rnd.IntN(2) == 0 {
			n.cut = !n.cut
		} else {
			n.deaf = !n.deaf
		}
	case k < 95 && n.up:
		n.up = false
	case k < 97 && !n.up && !n.lost:
		w.start(n)
	case k < 98:
		w.elect()
	case k < 99 && !n.lost && w.spares(n) && w.bears(n.chunks()):
		for _, id := range n.chunks() {
			w.hurt[id]++
		}
		n.up, n.lost = false, true
		w.store(n.host) // an empty directory is another store
	default:
		for _, p := range slices.SortedFunc(maps.Keys(n.disk), compareHas) {
			if n.disk[p] && w.bears([]vstack.ChunkID{p.chunk}) && w.rnd.IntN(3) == 0 {
				n.disk[p] = false
				w.hurt[p.chunk]++
			}
		}
	}
}

// chunks are those of which a store has something undamaged.
func (n *node) chunks() (out []vstack.ChunkID) {
	for _, p := range slices.SortedFunc(maps.Keys(n.disk), compareHas) {
		if n.disk[p] && !slices.Contains(out, p.chunk) {
			out = append(out, p.chunk)
		}
	}
	return out
}

// spares reports whether every group keeps a majority of its acceptors without a store: one
// that lost it waits for an operator.
func (w *world) spares(n *node) bool {
	for _, g := range w.state().m.Groups {
		all := slices.Clone(g.Acceptors())
		if g.Next != nil {
			all = append(all, g.Next.Acceptors()...)
		}
		if slices.Contains(all, n.id) && slices.ContainsFunc(all, func(id vstack.StoreID) bool { return w.node(id).lost }) {
			return false
		}
	}
	return true
}

// bears reports whether chunks survive one more failure, by what the rule promises.
func (w *world) bears(chunks []vstack.ChunkID) bool {
	for _, id := range chunks {
		if w.hurt[id]+1 >= w.base[id] {
			return false
		}
	}
	return true
}

// settle lets everything come to rest: every process runs and reaches every other, and orders
// to leave are taken back that nobody can fulfil. Then every target has what it must, and
// nobody anything else.
func (w *world) settle() error {
	stays := len(w.nodes)
	for _, n := range w.nodes {
		if n.lost || slices.ContainsFunc(w.state().m.Stores, func(st vstack.Store) bool { return st.ID == n.id && st.Leaving == vstack.LeaveOrdered }) {
			stays--
		}
	}
	if stays < w.state().m.TargetCount() { // a target that is gone has no successor, and its group drops nothing
		w.commit(func(s *state) {
			for i := range s.m.Stores {
				if s.m.Stores[i].Leaving == vstack.LeaveOrdered {
					s.m.Stores[i].Leaving = ""
				}
			}
		})
	}
	w.beats, w.replies, w.old = nil, nil, nil
	for _, n := range w.nodes {
		if n.cut, n.deaf = false, false; !n.up && !n.lost {
			w.start(n)
		}
	}
	why, classes := errors.New("groups are not widened"), false
	for range 300 {
		if !classes && w.fits() {
			classes = true
			w.commit(func(s *state) {
				for id, f := range s.films {
					f.class, f.row, f.classIndex = []vstack.StorageClass{vstack.ClassHot, vstack.ClassCold}[id[0]%2], s.index, s.index
					s.films[id] = f
				}
			})
		}
		w.now = w.now.Add(time.Second)
		for _, n := range w.nodes {
			if !n.up {
				continue
			}
			w.poll(n, w.state())
			w.poll(n, w.state())
			w.pass(n, true)
			w.send(n)
		}
		for len(w.beats) > 0 {
			w.deliver(0)
		}
		for len(w.replies) > 0 {
			w.receive(0)
		}
		w.judge()
		w.look()
		for pg := range simGroups {
			w.activate(pg)
		}
		if err := w.check(); err != nil {
			return err
		}
		if why = w.rest(); why == nil && classes {
			return nil
		}
	}
	return fmt.Errorf("does not settle: %w", why)
}

// fits reports whether every group has a target for each fragment: no film cools before, which
// the catalog sees to.
func (w *world) fits() bool {
	return !slices.ContainsFunc(w.state().m.Groups, func(g vstack.PGTargets) bool { return len(g.Targets) < simScheme.Total() })
}

// rest says what is still to be done.
func (w *world) rest() error {
	s := w.state()
	live := s.live()
	for pg, g := range s.m.Groups {
		if g.Next != nil {
			return fmt.Errorf("group %d moves", pg)
		}
	}
	for id, uses := range live {
		if !w.whole(id, uses) {
			return fmt.Errorf("chunk %d is not on all targets", id[0])
		}
	}
	for _, n := range w.nodes {
		if !n.up {
			continue
		}
		for p := range n.disk {
			wanted := func(u use) bool { want := u.f.desire(s.m.Groups[u.pg], n.id); return want.Wants(p.piece) }
			if !slices.ContainsFunc(live[p.chunk], wanted) {
				return fmt.Errorf("store %d holds %s of chunk %d as an orphan", n.id[0], p.piece, p.chunk[0])
			}
		}
		for pg, g := range s.m.Groups {
			holds := slices.ContainsFunc(slices.Collect(maps.Keys(n.disk)), func(p has) bool {
				return slices.ContainsFunc(live[p.chunk], func(u use) bool { return u.pg == vstack.PG(pg) })
			})
			if target := g.Index(n.id) >= 0; target && !n.known[pg] || !target && !holds && n.known[pg] {
				return fmt.Errorf("store %d knows group %d: %v", n.id[0], pg, n.known[pg])
			}
		}
	}
	return nil
}

// schedules is how many to play: of a soak one in so many.
func schedules(t *testing.T, of int) int {
	v := os.Getenv("VSTACK_SOAK_COPIES")
	if v == "" {
		return simSchedules
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	return n / of
}

// TestRandomSchedulesKeepEveryCopy plays schedules of epoch changes, lost disks, rot,
// crashes, lagging views, late and lost heartbeats and answers, and deposed leaders over
// copies. What did not fail is always there, and in the end every target has everything and
// nobody an orphan.
func TestRandomSchedulesKeepEveryCopy(t *testing.T) {
	count := schedules(t, 1)
	drops, epochs, broken := 0, 0, 0
	for _, seed := range slices.Concat(unfulfilled, crossed) {
		if _, err := run(seed, mutant{}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	for seed := range uint64(count) {
		w, err := run(seed, mutant{})
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
			if broken++; broken > 3 {
				t.FailNow()
			}
		}
		drops, epochs = drops+w.drops, epochs+w.epochs
	}
	if drops < count/2 || epochs < count {
		t.Errorf("only %d drops and %d epoch changes in %d schedules", drops, epochs, count)
	}
	t.Logf("%d schedules, %d epoch changes, %d chunks dropped, 0 orphans", count, epochs, drops)
	soak.Add(t, map[string]int64{"copies: schedules": int64(count), "copies: epoch changes": int64(epochs), "copies: chunks dropped": int64(drops), "copies: orphans": 0})
}

// TestRandomSchedulesWidenGroups plays the same over films of 4+2: their groups begin with five
// targets, and all of them end with six.
func TestRandomSchedulesWidenGroups(t *testing.T) {
	count := schedules(t, 10)
	was := simScheme
	defer func() { simScheme = was }()
	simScheme = vstack.Scheme{K: 4, M: 2}
	for seed := range uint64(count) {
		if _, err := run(seed, mutant{wide: true}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	t.Logf("%d schedules", count)
}
