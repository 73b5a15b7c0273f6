package membership

import (
	"testing"
	"time"

	"github.com/vstack/vstack/internal/wire"
)

func TestWhoIsRemovedByItself(t *testing.T) {
	const after = time.Hour
	good := func(id string) wire.RaftPeer {
		return wire.RaftPeer{ID: id, Instance: id + "1", Voter: true, Reached: true, LastContact: 0.1}
	}
	dead := func(id string) wire.RaftPeer { return wire.RaftPeer{ID: id, Instance: id + "1", Voter: true} }
	mute := dead("e")
	mute.Voter = false
	for _, c := range []struct {
		name   string
		before []wire.RaftPeer // at the beginning
		now    []wire.RaftPeer
		late   time.Duration
		want   string
	}{
		{"one of four", []wire.RaftPeer{good("a"), good("b"), good("c"), dead("d")}, []wire.RaftPeer{good("a"), good("b"), good("c"), dead("d")}, after, "d"},
		{"not yet", []wire.RaftPeer{good("a"), good("b"), good("c"), dead("d")}, []wire.RaftPeer{good("a"), good("b"), good("c"), dead("d")}, after - 1, ""},
		{"it came back meanwhile", []wire.RaftPeer{good("a"), good("b"), good("c"), good("d")}, []wire.RaftPeer{good("a"), good("b"), good("c"), dead("d")}, after, ""},
		{"one of three: two would be left", []wire.RaftPeer{good("a"), good("b"), dead("c")}, []wire.RaftPeer{good("a"), good("b"), dead("c")}, after, ""},
		{"two of five: one that is left is dead", []wire.RaftPeer{good("a"), good("b"), good("c"), dead("d"), dead("f")},
			[]wire.RaftPeer{good("a"), good("b"), good("c"), dead("d"), dead("f")}, after, ""},
		{"one without a vote is no voter that is left", []wire.RaftPeer{good("a"), good("b"), mute, dead("d")}, []wire.RaftPeer{good("a"), good("b"), mute, dead("d")}, after, ""},
	} {
		s, start := silences{}, time.Unix(1e9, 0)
		if id := s.look(c.before, start, after); id != "" {
			t.Errorf("%s: %s is removed at once", c.name, id)
		}
		if id := s.look(c.now, start.Add(c.late), after); id != c.want {
			t.Errorf("%s: %q is removed, want %q", c.name, id, c.want)
		}
	}
	s, start := silences{}, time.Unix(1e9, 0)
	s.look([]wire.RaftPeer{good("a"), good("b"), good("c"), dead("d")}, start, after)
	s.look([]wire.RaftPeer{good("a"), good("b"), good("c"), good("d")}, start.Add(after/2), after)
	if id := s.look([]wire.RaftPeer{good("a"), good("b"), good("c"), dead("d")}, start.Add(after), after); id != "" {
		t.Errorf("%s is removed, which answered half an hour ago", id)
	}
}
