package chunkpaxos

import (
	"math/rand/v2"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func id(b byte) (u vstack.UUID) { u[15] = b; return u }

func store(i int) vstack.StoreID { return vstack.StoreID(id(0xa0 + byte(i))) }

var testStores = []vstack.StoreID{store(0), store(1), store(2)}

func testUpload(inc vstack.Incarnation) vstack.Upload {
	return vstack.Upload{
		ID: vstack.UploadID(id(1)), Video: vstack.VideoID(id(2)), State: vstack.UploadOpen,
		Incarnation: inc, Owner: vstack.ProposerID(id(byte(inc))), Index: uint64(inc),
	}
}

func testSlot(seq uint32) vstack.Slot { return vstack.Slot{Video: vstack.VideoID(id(2)), Seq: seq} }

func testValue(b byte) vstack.Value {
	return vstack.Value{Chunk: vstack.ChunkIDOf([]byte{b}), Size: uint32(b) + 1}
}

// ready returns an acceptor that has caught up with a catalog in which the uploads
// are open and every placement group is at epoch 1 on testStores.
func ready(t *testing.T, i int, ups ...vstack.Upload) *Acceptor {
	t.Helper()
	a, err := NewAcceptor(AcceptorConfig{Store: store(i)})
	if err != nil {
		t.Fatal(err)
	}
	a.Step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: ups})
	a.Step(Echo{Index: 10})
	return a
}

func allGroups(e vstack.Epoch, attempt uint32) []Group {
	gs := make([]Group, vstack.PlacementGroups)
	for i := range gs {
		gs[i] = Group{PG: vstack.PG(i), Epoch: e, Acceptors: testStores, Attempt: attempt}
	}
	return gs
}

func TestUncontendedCommitTakesSixMessagesAndOneAppendEach(t *testing.T) {
	up := testUpload(1)
	acceptors := map[vstack.StoreID]*Acceptor{}
	for i := range testStores {
		acceptors[store(i)] = ready(t, i, up)
	}
	p, err := NewProposer(ProposerConfig{
		Slot: testSlot(1), Epoch: 1, Acceptors: testStores, Upload: up, Value: testValue(7), Fast: true,
		Rand: rand.New(rand.NewPCG(1, 2)),
	})
	if err != nil {
		t.Fatal(err)
	}
	messages, appends := 0, 0
	var chosen *Chosen
	todo := p.Step(Start{})
	for len(todo) > 0 {
		act := todo[0]
		todo = todo[1:]
		switch act := act.(type) {
		case Chosen:
			chosen = &act
		case Send:
			messages++
			a := acceptors[act.Call.To]
			effects := a.Step(Request{Token: 1, Msg: act.Msg, HasBytes: act.WithBytes})
			for len(effects) > 0 {
				e := effects[0]
				effects = effects[1:]
				switch e := e.(type) {
				case Append:
					appends++
					if !e.WithBytes || len(e.Records) != 1 {
						t.Fatalf("append %+v, want one vote with its bytes", e)
					}
					effects = append(effects, a.Step(AppendDone{Token: e.Token, LSN: 5})...)
				case Respond:
					messages++
					todo = append(todo, p.Step(Answer{Call: act.Call, Reply: e.Reply})...)
				}
			}
		}
	}
	if chosen == nil || chosen.Value != testValue(7) || len(chosen.Acks) != 3 {
		t.Fatalf("chosen %+v, want the value with three acks", chosen)
	}
	if messages != 6 || appends != 3 {
		t.Fatalf("%d messages and %d appends, want 6 and 3", messages, appends)
	}
}
