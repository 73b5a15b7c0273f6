package chunkpaxos

import (
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// page sends one page of an install of epoch 2 and returns its answer.
func (d *driver) page(attempt uint32, first, final bool, votes ...message.Vote) message.Reply {
	d.t.Helper()
	tok := d.send(message.Install{PG: testSlot(1).PG(), Epoch: 2, Attempt: attempt, First: first, Final: final, Votes: votes})
	if d.replies[tok] == nil && len(votes) > 0 {
		d.step(BytesReady{Token: tok, Stored: true})
	}
	d.flush()
	return d.replies[tok]
}

func stagedVote(seq uint32, v byte) message.Vote {
	return message.Vote{Slot: testSlot(seq), Upload: vstack.UploadID(id(1)), Value: testValue(v)}
}

func TestAFirstPageThatComesAgainEmptiesNothing(t *testing.T) {
	seqs := slotsOfOneGroup(2)
	d := drive(t, ready(t, 0, testUpload(1)))
	d.page(1, true, false, stagedVote(seqs[0], 1))
	d.page(1, false, false, stagedVote(seqs[1], 2))
	d.page(1, true, false, stagedVote(seqs[0], 1)) // delayed by the network
	d.page(1, false, true)
	d.step(CatalogChange{Applied: 11, Groups: allGroups(2, 1)})
	for i, seq := range seqs {
		if st, ok := d.do(message.Query{Slot: testSlot(seq)}).(message.SlotState); !ok || st.Value != testValue(byte(i+1)) {
			t.Errorf("slot %d holds %+v", seq, st)
		}
	}
}

func TestAnInstallOfAnUploadThatTheCatalogTellsOfLaterIsKept(t *testing.T) {
	d := drive(t, ready(t, 0))
	d.page(1, true, true, stagedVote(1, 1))
	d.step(CatalogChange{Applied: 11, Groups: allGroups(2, 1)})
	d.step(CatalogChange{Applied: 12, Uploads: []vstack.Upload{testUpload(1)}})
	if st, ok := d.do(message.Query{Slot: testSlot(1)}).(message.SlotState); !ok || st.Value != testValue(1) {
		t.Errorf("the slot holds %+v, want the installed value", st)
	}
}

func TestAnEndedUploadLeavesTheInstallsToo(t *testing.T) {
	ended := testUpload(1)
	ended.State = vstack.UploadAborted
	for name, play := range map[string]func(*driver){
		"ends before the install": func(d *driver) {
			d.step(CatalogChange{Applied: 11, Uploads: []vstack.Upload{ended}})
			d.page(1, true, true, stagedVote(1, 1))
			if len(d.fetches) != 0 || len(d.log) != 1 { // the mark alone: its bytes may be gone
				d.t.Errorf("%d fetches, the log has %+v", len(d.fetches), d.log)
			}
		},
		"ends while it is appended": func(d *driver) {
			tok := d.send(message.Install{PG: testSlot(1).PG(), Epoch: 2, Attempt: 1, First: true, Final: true, Votes: []message.Vote{stagedVote(1, 1)}})
			d.step(BytesReady{Token: tok, Stored: true})
			d.step(CatalogChange{Applied: 11, Uploads: []vstack.Upload{ended}})
			d.flush()
			if last := d.log[len(d.log)-1]; last.Kind != DurableForget || last.Upload != ended.ID {
				d.t.Errorf("the log was not told: %+v", last)
			}
		},
		"ends before the activation": func(d *driver) {
			d.page(1, true, true, stagedVote(1, 1))
			d.step(CatalogChange{Applied: 11, Uploads: []vstack.Upload{ended}})
			d.flush()
			if last := d.log[len(d.log)-1]; last.Kind != DurableForget || last.Upload != ended.ID {
				d.t.Errorf("the log was not told: %+v", last)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, ready(t, 0, testUpload(1)))
			play(d)
			d.step(CatalogChange{Applied: 12, Groups: allGroups(2, 1)})
			if s := d.a.Stats(); s.Slots != 0 {
				t.Errorf("%d slots of a dead upload in memory", s.Slots)
			}
		})
	}
}

// A next epoch's attempt that comes to nothing must not cost what the epoch in force
// began with, and a store that lacks it must not tell its votes.
func TestTheInstallInForceOutlivesAnAttemptAtTheNext(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	pg := testSlot(1).PG()
	d.page(1, true, true, stagedVote(1, 1))
	d.step(CatalogChange{Applied: 11, Groups: allGroups(2, 1)})
	if s, ok := d.do(message.Seal{PG: pg, Epoch: 2}).(message.Sealed); !ok || len(s.Votes) != 1 {
		t.Fatalf("sealed %+v, want the installed vote", s)
	}
	d.do(message.Install{PG: pg, Epoch: 3, Attempt: 2, First: true})
	d.do(message.Install{PG: pg, Epoch: 3, Attempt: 2, Final: true}) // and the driver dies
	restart := func(keep func(Durable) bool) *driver {
		a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: d.lsn})
		for _, r := range d.log {
			if keep(r) {
				a.Restore(r)
			}
		}
		a.Step(CatalogChange{Applied: 11, Groups: allGroups(2, 1), Uploads: []vstack.Upload{testUpload(1)}})
		a.Step(Echo{LSN: d.lsn, Index: 11})
		return drive(t, a)
	}
	r := restart(func(Durable) bool { return true })
	if s, ok := r.do(message.Seal{PG: pg, Epoch: 2}).(message.Sealed); !ok || len(s.Votes) != 1 || s.Votes[0].Value != testValue(1) {
		t.Errorf("after a restart: sealed %+v, want the installed vote", s)
	}
	r = restart(func(x Durable) bool { return x.Kind != DurableInstall || x.Epoch == 3 })
	r.nack(message.Seal{PG: pg, Epoch: 2}, vstack.ErrUnavailable)
}

func TestAStoreThatLostAnInstallIsBarredFromItsEpoch(t *testing.T) {
	d := drive(t, ready(t, 3, testUpload(1))) // not an acceptor yet
	d.page(1, true, false, stagedVote(1, 1))
	d.step(Echo{LSN: d.lsn + 5, Index: 10})
	d.flush()
	if n, ok := d.page(1, false, true).(message.Nack); !ok || n.Reason != vstack.ErrAmnesic {
		t.Errorf("the final page: %+v, want AMNESIC", n)
	}
}

func TestEndedUploadsAreRememberedUpToABound(t *testing.T) {
	var e endedVideos
	name := func(i int) vstack.VideoID { return vstack.VideoID{byte(i), byte(i >> 8), byte(i >> 16), 1} }
	for i := range maxEnded + 10 {
		e.add(name(i))
		e.add(name(i))
	}
	if len(e.set) != maxEnded || e.has(name(9)) || !e.has(name(10)) || !e.has(name(maxEnded+9)) {
		t.Errorf("%d remembered", len(e.set))
	}
}
