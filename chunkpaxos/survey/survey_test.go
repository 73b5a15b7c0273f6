package survey

import (
	"errors"
	"reflect"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

func store(i int) vstack.StoreID { return vstack.StoreID{15: 0xa0 + byte(i)} }

func slot(seq uint32) vstack.Slot { return vstack.Slot{Video: vstack.VideoID{15: 2}, Seq: seq} }

var upload = vstack.Upload{
	ID: vstack.UploadID{15: 1}, Video: vstack.VideoID{15: 2}, State: vstack.UploadOpen, Incarnation: 7, Owner: vstack.ProposerID{15: 9}, Index: 70,
}

// placement has every group at epoch 3 on the stores 0, 1 and 2.
func placement() *vstack.PlacementMap {
	m := &vstack.PlacementMap{Version: 1, Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range m.Groups {
		m.Groups[i] = vstack.PGTargets{Epoch: 3, Targets: []vstack.StoreID{store(0), store(1), store(2)}}
	}
	return m
}

func vote(seq uint32, inc vstack.Incarnation, content byte) message.Vote {
	return message.Vote{
		Slot: slot(seq), Upload: upload.ID, Epoch: 3, Ballot: vstack.Ballot{Incarnation: inc, Proposer: upload.Owner},
		Value: vstack.Value{Chunk: vstack.ChunkIDOf([]byte{content}), Size: 10},
	}
}

// promise is one page of store i, for every group at epoch e.
func promise(i int, e vstack.Epoch, more bool, votes ...message.Vote) message.UploadPromise {
	p := message.UploadPromise{
		Store: store(i), Upload: upload.ID, Ballot: vstack.Ballot{Incarnation: 7, Proposer: upload.Owner}, Votes: votes, More: more,
	}
	for pg := range vstack.PG(vstack.PlacementGroups) {
		p.Groups = append(p.Groups, message.GroupEpoch{PG: pg, Epoch: e})
	}
	return p
}

func begin(t *testing.T, pages ...message.UploadPromise) *Survey {
	t.Helper()
	s, err := New(upload, placement())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if err := s.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestEachStoreIsAskedPageByPage(t *testing.T) {
	s := begin(t)
	if got := s.Stores(); !reflect.DeepEqual(got, []vstack.StoreID{store(0), store(1), store(2)}) {
		t.Fatalf("asks %v", got)
	}
	m, more := s.Next(store(1))
	if !more || m.Upload != upload.ID || m.UploadIndex != 70 || m.Ballot != (vstack.Ballot{Incarnation: 7, Proposer: upload.Owner}) || m.After != nil {
		t.Fatalf("first page: %+v, %v", m, more)
	}
	if err := s.Add(promise(1, 3, true, vote(1, 5, 1), vote(4, 5, 4))); err != nil {
		t.Fatal(err)
	}
	if m, more = s.Next(store(1)); !more || m.After == nil || *m.After != slot(4) {
		t.Fatalf("second page: %+v, %v", m, more)
	}
	if err := s.Add(promise(1, 3, false)); err != nil {
		t.Fatal(err)
	}
	if _, more = s.Next(store(1)); more {
		t.Error("asks a store that has told everything")
	}
	if _, more = s.Next(store(8)); more {
		t.Error("asks a store of elsewhere")
	}
}

func TestWhatAMajorityHoldsIsChosenAndRoundZeroIsForWhatNobodyHolds(t *testing.T) {
	s := begin(t,
		promise(0, 3, false, vote(1, 5, 1), vote(2, 5, 2), vote(3, 5, 3)),
		promise(1, 3, false, vote(1, 5, 1), vote(3, 6, 3)))
	want := map[vstack.Slot]vstack.Value{slot(1): vote(1, 5, 1).Value}
	if got := s.Chosen(); !reflect.DeepEqual(got, want) {
		t.Errorf("chosen %v: slot 2 is on one store, slot 3 was voted for at two ballots", got)
	}
	for seq, fast := range map[uint32]bool{1: false, 2: false, 3: false, 4: true} {
		if got := s.Fast(slot(seq), 3); got != fast {
			t.Errorf("round 0 in slot %d: %v, want %v", seq, got, fast)
		}
	}
	if s.Fast(slot(4), 4) {
		t.Error("a promise outlives its epoch")
	}
	if s := begin(t, promise(0, 3, false)); s.Fast(slot(4), 3) {
		t.Error("one promise of three is enough for round 0")
	}
}

func TestAPromiseOfAnotherEpochIsNone(t *testing.T) {
	s := begin(t, promise(0, 3, false, vote(1, 5, 1)), promise(1, 2, false, vote(1, 5, 1)))
	if len(s.Chosen()) != 0 || s.Fast(slot(4), 3) {
		t.Error("a store at another epoch was counted")
	}
	// The epoch moved between two pages of one store.
	s = begin(t, promise(0, 3, false), promise(1, 2, true, vote(1, 5, 1)), promise(1, 3, false))
	if s.Fast(slot(4), 3) {
		t.Error("half a promise was counted")
	}
	// Half a store's pages are no promise, either.
	s = begin(t, promise(0, 3, false), promise(1, 3, true, vote(1, 5, 1)))
	if s.Fast(slot(4), 3) {
		t.Error("an unfinished promise was counted")
	}
}

func TestPagesThatMakeNoSenseAreRefused(t *testing.T) {
	other := promise(0, 3, false)
	other.Upload[15]++
	late := promise(0, 3, false)
	late.Ballot.Incarnation = 6
	foreign := vote(1, 5, 1)
	foreign.Slot.Video[15]++
	for name, p := range map[string]message.UploadPromise{
		"of a store that was not asked": promise(8, 3, false),
		"of another upload":             other,
		"at another ballot":             late,
		"more after nothing":            promise(0, 3, true),
		"a slot twice":                  promise(0, 3, false, vote(1, 5, 1), vote(1, 5, 1)),
		"out of order":                  promise(0, 3, false, vote(2, 5, 1), vote(1, 5, 1)),
		"of another video":              promise(0, 3, false, foreign),
	} {
		t.Run(name, func(t *testing.T) {
			if err := begin(t).Add(p); !errors.Is(err, vstack.ErrInvalid) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := begin(t, promise(0, 3, false)).Add(promise(0, 3, false)); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a page after the last: %v", err)
	}
	if _, err := New(upload, &vstack.PlacementMap{}); !errors.Is(err, vstack.ErrNotReady) {
		t.Errorf("without a map: %v", err)
	}
}
