package message

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func store(i int) vstack.StoreID { return vstack.StoreID{15: 0xa0 + byte(i)} }

func value(b byte) vstack.Value {
	return vstack.Value{Chunk: vstack.ChunkIDOf([]byte{b}), Size: uint32(b) + 1}
}

var acceptors = []vstack.StoreID{store(0), store(1), store(2)}

func TestTheLearnRuleWantsOneBallotAndOneValueFromAMajority(t *testing.T) {
	v := func(round uint32, val byte) Vote {
		return Vote{Epoch: 1, Ballot: vstack.Ballot{Incarnation: 1, Round: round, Proposer: vstack.ProposerID{15: 5}}, Value: value(val)}
	}
	for name, c := range map[string]struct {
		reports []Vote
		want    bool
	}{
		"all three":                  {[]Vote{v(1, 1), v(1, 1), v(1, 1)}, true},
		"two of three":               {[]Vote{{}, v(1, 1), v(1, 1)}, true},
		"one accepted is not chosen": {[]Vote{v(1, 1)}, false},
		"same value, two ballots":    {[]Vote{v(1, 1), v(2, 1)}, false},
		"same ballot, two values":    {[]Vote{v(1, 1), v(1, 2)}, false},
		"three empty slots":          {[]Vote{{}, {}, {}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			reports := map[vstack.StoreID]Vote{store(9): v(1, 1)} // no acceptor
			for i, r := range c.reports {
				reports[store(i)] = r
			}
			got, ok := ChosenOf(acceptors, reports)
			if ok != c.want || ok && got != value(1) {
				t.Errorf("chosen %v %v, want %v", got, ok, c.want)
			}
		})
	}
}

func TestAValueOfAnotherEpochDoesNotCount(t *testing.T) {
	v := Vote{Epoch: 1, Ballot: vstack.Ballot{Incarnation: 1}, Value: value(1)}
	w := v
	w.Epoch = 2
	if got, ok := ChosenOf(acceptors, map[vstack.StoreID]Vote{store(0): v, store(1): w}); ok {
		t.Errorf("chosen %v by votes of two epochs", got)
	}
}

func TestSlotsAreOrderedByVideoTrackAndSequence(t *testing.T) {
	at := func(video byte, track uint16, seq uint32) vstack.Slot {
		return vstack.Slot{Video: vstack.VideoID{0: video}, Track: track, Seq: seq}
	}
	want := []vstack.Slot{at(1, 0, 9), at(1, 1, 0), at(1, 1, 300), at(2, 0, 0)}
	got := []vstack.Slot{want[2], want[3], want[0], want[1]}
	slices.SortFunc(got, CompareSlots)
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAnInstallsBallotIsBelowEveryIncarnations(t *testing.T) {
	lowest := vstack.Ballot{Incarnation: 1}
	if b := InstallBallot(1 << 31); !b.Less(lowest) || b.IsZero() || InstallBallot(1) == InstallBallot(2) || !InstallBallot(1).Less(InstallBallot(2)) {
		t.Errorf("%s against %s", b, lowest)
	}
}

func TestARefusalIsAnErrorOfItsReason(t *testing.T) {
	n := Nack{Store: store(1), Reason: vstack.ErrFenced}
	if err := n.Err(); !errors.Is(err, vstack.ErrFenced) || !strings.Contains(err.Error(), n.Store.String()) {
		t.Errorf("%v", err)
	}
	n.Detail = "by the owner"
	if err := n.Err(); !errors.Is(err, vstack.ErrFenced) || !strings.Contains(err.Error(), "by the owner") {
		t.Errorf("%v", err)
	}
}

func TestAMajorityIsMoreThanHalf(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 3: 2, 4: 3, 5: 3} {
		if got := Majority(n); got != want {
			t.Errorf("of %d: %d, want %d", n, got, want)
		}
	}
}
