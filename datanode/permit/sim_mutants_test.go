package permit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/soak"
	"github.com/vstack/vstack/internal/vstack"
)

// story is a schedule that is told, not drawn: an acceptor of a film's group leaves by
// order, and no byte comes to the store in its place.
type story struct {
	cut     bool // the leaver hears the leader no more once the epoch is in force
	deaf    bool // the newcomer's view stays in the epoch before
	restart bool // the leaver starts again
	back    bool // the newcomer has the film after all, and the leaver comes back at once
	older   bool // nobody leaves: the film is cold, and a tail starts at a member to whom it is hot
	lag     bool // the newcomer's read of the group is answered by a member that knows no film yet
}

// play tells a story and returns what is broken.
func (p story) play(m mutant) error {
	w := newWorld(1, m)
	w.slow, w.fresh = 1<<30, time.Hour
	for len(w.state().films) == 0 {
		w.calm()
		w.publish()
	}
	var film film
	for _, film = range w.state().films {
	}
	pg := film.refs[0].slot.PG()
	for _, r := range film.refs {
		for _, id := range w.state().m.Groups[r.slot.PG()].Acceptors() {
			w.node(id).disk[copyOf(r.chunk)] = true
		}
	}
	before := w.state().m.Groups[pg]
	leaver := w.node(before.Targets[0])
	if err := w.seconds(4); err != nil {
		return err
	}
	if p.older {
		return w.startsAtAnOlderMember(film)
	}
	if p.lag {
		to := slices.Clone(before.Targets)
		i := slices.IndexFunc(w.nodes, func(n *node) bool { return before.Index(n.id) < 0 })
		to[0] = w.nodes[i].id
		w.commit(func(s *state) {
			s.m.Groups[pg] = vstack.PGTargets{Epoch: before.Epoch + 1, Attempt: 1, Targets: to, Fragments: before.CarryFragments(to)}
		})
		w.poll(w.nodes[i], w.state())
		w.poll(w.nodes[i], w.history[0])
		w.pass(w.nodes[i], false)
		return w.seconds(20)
	}
	w.commit(func(s *state) {
		s.m.Stores[slices.IndexFunc(s.m.Stores, func(st vstack.Store) bool { return st.ID == leaver.id })].Leaving = vstack.LeaveOrdered
	})
	for w.state().m.Groups[pg].Next == nil {
		w.look()
		if err := w.seconds(1); err != nil {
			return err
		}
	}
	newcomer := w.node(w.state().m.Groups[pg].Next.Targets[0])
	if err := w.seconds(3); err != nil {
		return err
	}
	w.activate(int(pg))
	if w.state().m.Groups[pg].Index(leaver.id) >= 0 {
		return fmt.Errorf("the epoch was not activated")
	}
	leaver.cut, newcomer.deaf = p.cut, p.deaf
	if p.restart {
		w.start(leaver)
	}
	if !p.back {
		return w.seconds(20)
	}
	for _, r := range film.refs {
		newcomer.disk[copyOf(r.chunk)] = true
	}
	for i := 0; len(leaver.plan) == 0 && leaver.disk[copyOf(film.refs[0].chunk)] && i < 40; i++ {
		if err := w.seconds(1); err != nil {
			return err
		}
	}
	w.commit(func(s *state) {
		s.m.Groups[pg] = vstack.PGTargets{Epoch: before.Epoch + 2, Attempt: 1, Targets: before.Targets}
	})
	return w.seconds(4)
}

// startsAtAnOlderMember has every target hold its fragment of a film, and the copies go. Then
// a tail starts again and reads the catalog of before, in which it must hold nothing.
func (w *world) startsAtAnOlderMember(f film) error {
	hot := w.state()
	w.commit(func(s *state) {
		for id, f := range s.films {
			f.class, f.row, f.classIndex = vstack.ClassCold, s.index, s.index
			s.films[id] = f
		}
	})
	for _, r := range f.refs {
		g := w.state().m.Groups[r.slot.PG()]
		for i, id := range g.Targets {
			w.node(id).disk[all(r.chunk)[1+g.Fragment(i)]] = true
		}
	}
	if err := w.seconds(20); err != nil {
		return err
	}
	g := w.state().m.Groups[f.refs[0].slot.PG()]
	if w.node(g.Targets[0]).disk[copyOf(f.refs[0].chunk)] {
		return fmt.Errorf("the copies do not go")
	}
	tail := w.node(g.Targets[vstack.Targets-1])
	w.start(tail)
	w.poll(tail, hot)
	tail.deaf = true
	return w.seconds(20)
}

// seconds are so many calm ones.
func (w *world) seconds(n int) error {
	for range n {
		w.calm()
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

// mutants are those of the rule, and of what it stands on. That reports of an earlier process
// count is TestClaimsAreThoseOfThePresentProcess's.
var mutants = []struct {
	name string
	mutant
}{
	{"grace alone permits a drop", mutant{rules: rules{graceAlone: true}}},
	{"the committed epoch and grace permit it", mutant{rules: rules{committed: true}}},
	{"W is not tied to the epoch", mutant{rules: rules{anyEpoch: true}}},
	{"reports from before the epoch count", mutant{oldReports: true}},
	{"a drop runs after a later survey", mutant{laterDrop: true}},
	{"the row's index instead of ClassIndex", mutant{rowIndex: true}},
	{"a restart forgets groups left", mutant{forgetful: true}},
	{"a group that is being read is complete", mutant{unread: true}},
	{"an older member's end ends a read", mutant{laggingEnd: true}},
	{"a damaged chunk is a copy", mutant{damagedHeld: true}},
	{"a program that does not know fragments lacks none", mutant{rules: rules{coldIsWhole: true}}},
	{"only acceptors are asked", mutant{acceptors: true}},
	// A start waits for the catalog of its first answer, too: each of the two holds where the
	// other is broken.
	{"a view older than S drops", mutant{rules: rules{anyView: true}, noFence: true}},
	{"a process is named by its clock alone", mutant{clocks: true}},
	{"the fragment number follows the position", mutant{rules: rules{byPosition: true}}},
}

// stories are all of them.
var stories = []story{{}, {cut: true}, {deaf: true}, {restart: true}, {back: true}, {older: true}, {lag: true}}

// caughtBy plays the stories, and then some schedules.
func caughtBy(m mutant, schedules uint64) (string, error) {
	for _, p := range stories {
		if err := p.play(m); err != nil {
			return fmt.Sprintf("story %+v", p), err
		}
	}
	for seed := range schedules {
		if _, err := run(seed, m); err != nil {
			return fmt.Sprintf("seed %d", seed), err
		}
	}
	return "", nil
}

// TestEveryMutantOfTheRuleIsCaught breaks one rule each. Unbroken, nothing is found.
func TestEveryMutantOfTheRuleIsCaught(t *testing.T) {
	if by, err := caughtBy(mutant{}, 10); err != nil {
		t.Fatalf("the rule itself, %s: %v", by, err)
	}
	for name, m := range map[string]mutant{"S alone": {noFence: true}, "the start's wait alone": {rules: rules{anyView: true}}} {
		if by, err := caughtBy(m, 10); err != nil {
			t.Errorf("%s does not hold, %s: %v", name, by, err)
		}
	}
	caught := 0
	for _, m := range mutants {
		by, err := caughtBy(m.mutant, 500)
		if err == nil {
			t.Errorf("%s: not caught", m.name)
			continue
		}
		caught++
		t.Logf("%s: %s: %v", m.name, by, err)
	}
	t.Logf("mutants caught %d of %d", caught, len(mutants))
	soak.Add(t, map[string]int64{"mutants": int64(len(mutants)), "mutants caught": int64(caught)})
}
