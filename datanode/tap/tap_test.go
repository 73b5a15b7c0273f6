package tap

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func accept(seq uint32) message.Accept {
	return message.Accept{Slot: vstack.Slot{Video: vstack.VideoID{9: 7}, Track: 1, Seq: seq}, Epoch: 3, Ballot: vstack.Ballot{Incarnation: 5}, Value: vstack.Value{Size: 9}}
}

func TestNothingIsKeptWhileNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := New(vstack.StoreID{1})
		if tap.Came("put", "h1", accept(1)) != nil {
			t.Error("heard before anybody listened")
		}
		tap.Listen(t.Context(), Ask{Fresh: true, OneIn: 1})
		if tap.Came("put", "h1", accept(1)) == nil {
			t.Error("not heard")
		}
		if tap.Came("query", "h1", message.Query{}) != nil {
			t.Error("what is about no slot was heard")
		}
		time.Sleep(listens + time.Millisecond) // of the bubble's clock: longer than a listener counts
		if tap.Came("put", "h1", accept(2)) != nil || tap.oneIn.Load() != 0 {
			t.Error("heard after the listener had gone")
		}
		var none *Tap
		none.Came("put", "h1", accept(1)).Answered(message.Accepted{}, nil)
	})
}

func TestAListenerHearsAMessageAndItsAnswerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := New(vstack.StoreID{1})
		heard := make(chan wire.HeardPage)
		go func() { heard <- tap.Listen(t.Context(), Ask{Fresh: true, Wait: maxWait, OneIn: 1}) }()
		synctest.Wait()
		began := time.Now()
		m := tap.Came("put", "h1", accept(1))
		time.Sleep(20 * time.Millisecond) // of the bubble's clock: what the store took to answer
		m.Answered(message.Accepted{}, nil)
		page := <-heard
		if took := time.Since(began); took != gather || len(page.Items) != 2 {
			t.Fatalf("after %v: %+v", took, page)
		}
		q, a := page.Items[0], page.Items[1]
		if q.Answer != "" || q.From != "h1" || q.Slot.Seq != 1 || q.PG != q.Slot.PG() || a.Answer != "ACCEPTED" || a.Took != 0.02 || a.Number != q.Number+1 || page.Next != a.Number {
			t.Errorf("%+v", page)
		}
		// A refusal that the acceptor never saw, one that it made, and a promise that tells of a vote.
		tap.Came("put", "h1", accept(2)).Answered(nil, vstack.ErrTruncated)
		tap.Came("accept", "h1", accept(3)).Answered(message.Nack{Reason: vstack.ErrBallotStale, Ballot: vstack.Ballot{Round: 4}}, nil)
		tap.Came("prepare", "h1", message.Prepare{Slot: accept(4).Slot}).Answered(message.Promise{Accepted: vstack.Ballot{Round: 2}, Value: vstack.Value{Size: 8}}, nil)
		page = tap.Listen(t.Context(), Ask{After: page.Next, OneIn: 1})
		var said []string
		for _, h := range page.Items {
			said = append(said, h.Answer)
		}
		if len(said) != 6 || said[1] != "TRUNCATED" || said[3] != "BALLOT_STALE" || page.Items[3].Holds.Ballot.Round != 4 || said[5] != "PROMISED" || page.Items[5].Holds.Value.Size != 8 {
			t.Errorf("%q %+v", said, page.Items)
		}
		if page = tap.Listen(t.Context(), Ask{After: page.Next, Wait: time.Second, OneIn: 1}); len(page.Items) != 0 {
			t.Errorf("heard twice: %+v", page)
		}
	})
}

func TestWhatIsKeptIsBoundedAndWhatIsLostIsCounted(t *testing.T) {
	tap := New(vstack.StoreID{1})
	tap.Listen(t.Context(), Ask{Fresh: true, OneIn: 1})
	for i := range uint32(keep + 88) {
		tap.Came("put", "h1", accept(i))
	}
	page := tap.Listen(t.Context(), Ask{After: 10, OneIn: 1})
	if len(page.Items) != keep || page.Missed != 78 || page.Items[0].Number != 89 || page.Next != keep+88 {
		t.Errorf("%d items from %d on, %d missed, next %d", len(page.Items), page.Items[0].Number, page.Missed, page.Next)
	}
	if page = tap.Listen(t.Context(), Ask{After: 5000, OneIn: 1}); len(page.Items) != 0 || page.Next != keep+88 {
		t.Errorf("of the process before: %+v", page)
	}
}

func TestASampleIsTheSameAtEveryStoreAndAboutAsThinAsWanted(t *testing.T) {
	a, b := New(vstack.StoreID{1}), New(vstack.StoreID{2})
	for _, tap := range []*Tap{a, b} {
		tap.Listen(t.Context(), Ask{Fresh: true, OneIn: 16})
	}
	n := 0
	for i := range uint32(16000) {
		heard := a.Came("put", "h1", accept(i)) != nil
		if heard != (b.Came("put", "h1", accept(i)) != nil) {
			t.Fatalf("slot %d is heard at one store alone", i)
		}
		if heard {
			if n++; !Sampled(accept(i).Slot, 8) {
				t.Errorf("slot %d is of the thin sample and not of the thick", i)
			}
		}
	}
	if n < 850 || n > 1150 {
		t.Errorf("%d of 16000 slots are heard, for one in 16", n)
	}
}

func TestQuestionsOfListeners(t *testing.T) {
	tap := New(vstack.StoreID{1})
	for query, want := range map[string]int{"?wait=0": 200, "?wait=0&after=0&one_in=8": 200, "?wait=soon": 400, "?one_in=0": 400, "?after=-1": 400} {
		w := httptest.NewRecorder()
		tap.ServeHTTP(w, httptest.NewRequest(http.MethodGet, wire.PathMessages+query, nil))
		if w.Code != want {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
		var page wire.HeardPage
		if want == 200 && (json.Unmarshal(w.Body.Bytes(), &page) != nil || page.Items == nil) {
			t.Errorf("%s: %s", query, w.Body)
		}
	}
}

// BenchmarkCame is what a message costs: while nobody listens, out of the sample, and heard.
func BenchmarkCame(b *testing.B) {
	for name, oneIn := range map[string]uint32{"nobody": 0, "one in 1000": 1000, "all": 1} {
		b.Run(name, func(b *testing.B) {
			tap := New(vstack.StoreID{1})
			if oneIn > 0 {
				tap.Listen(b.Context(), Ask{Fresh: true, OneIn: oneIn})
			}
			b.ReportAllocs()
			for i := uint32(0); b.Loop(); i++ {
				tap.Came("put", "h1", accept(i)).Answered(message.Accepted{}, nil)
			}
		})
	}
}
