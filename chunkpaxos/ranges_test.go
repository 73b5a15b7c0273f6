package chunkpaxos

import (
	"errors"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/chunkpaxos/survey"
	"github.com/vstack/vstack/internal/vstack"
)

// slotsOfOneGroup are n slots of the test video in the placement group of slot 1.
func slotsOfOneGroup(n int) []uint32 {
	var seqs []uint32
	for seq := uint32(1); len(seqs) < n; seq++ {
		if testSlot(seq).PG() == testSlot(1).PG() {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

func TestARangedPrepareFencesTheOldProcessAndTellsItsVotes(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	for seq := range uint32(5) {
		d.do(accept(seq, owner1, testValue(byte(seq))))
	}
	d.do(prepare(9, ballot(1, 1, 5))) // promised, not accepted: nothing to tell
	d.step(CatalogChange{Applied: 11, Uploads: []vstack.Upload{testUpload(2)}})
	minimum := ballot(2, 0, 2)
	m := ranged(minimum)
	m.Limit = 2
	var told []message.Vote
	for page := 1; ; page++ {
		p, ok := d.do(m).(message.UploadPromise)
		if !ok || p.Ballot != minimum || len(p.Groups) != vstack.PlacementGroups || len(p.Votes) > 2 {
			t.Fatalf("page %d: %+v", page, p)
		}
		told = append(told, p.Votes...)
		if !p.More {
			break
		}
		m.After = &p.Votes[1].Slot
	}
	if len(told) != 5 {
		t.Fatalf("told %+v, want five votes", told)
	}
	for i, v := range told {
		if v.Slot != testSlot(uint32(i)) || v.Ballot != owner1 || v.Value != testValue(byte(i)) {
			t.Errorf("vote %d is %+v", i, v)
		}
	}
	if n := len(d.log); n != 7 || d.log[6].Kind != DurableMinimum {
		t.Errorf("%d records, want five votes, a promise and one minimum for all pages", n)
	}
	d.nack(accept(7, owner1, testValue(1)), vstack.ErrFenced)
	d.nack(ranged(owner1), vstack.ErrFenced)
	d.nack(ranged(ballot(2, 0, 9)), vstack.ErrNotOwner)
}

func TestTheMinimumHoldsAfterARestartWithoutTheCatalogsHelp(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	d.do(ranged(ballot(1, 3, 5)))
	a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: d.lsn})
	a.Restore(d.log[0])
	a.Step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: []vstack.Upload{testUpload(1)}})
	a.Step(Echo{LSN: d.lsn, Index: 10})
	r := drive(t, a)
	if n := r.nack(accept(1, owner1, testValue(1)), vstack.ErrBallotStale); n.Ballot != ballot(1, 3, 5) {
		t.Errorf("refusal names %s, want the minimum", n.Ballot)
	}
	if st := r.do(message.Query{Slot: testSlot(1)}).(message.SlotState); st.Promised != ballot(1, 3, 5) {
		t.Errorf("state %+v does not tell the minimum", st)
	}
}

// What was checked before the minimum rose is acknowledged after it, so the answer
// must wait for it: else it would be missing from the answer and yet be chosen.
func TestARangedPrepareWaitsForTheVotesUnderWay(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	put := d.send(accept(1, owner1, testValue(1)))
	prep := d.send(ranged(ballot(1, 2, 5)))
	if len(d.appends) != 1 {
		t.Fatalf("appends %+v, want only the vote yet", d.appends)
	}
	late := d.send(accept(2, owner1, testValue(2)))
	if n, ok := d.replies[late].(message.Nack); !ok || n.Reason != vstack.ErrBallotStale {
		t.Errorf("below the rising minimum: %+v, want BALLOT_STALE", d.replies[late])
	}
	d.flush()
	if _, ok := d.replies[put].(message.Accepted); !ok {
		t.Errorf("the vote under way: %+v", d.replies[put])
	}
	if p, ok := d.replies[prep].(message.UploadPromise); !ok || len(p.Votes) != 1 {
		t.Errorf("the ranged prepare: %+v, want the vote in it", d.replies[prep])
	}
}

func TestRangedPreparesQueueInOrder(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	a, b := d.send(ranged(ballot(1, 2, 5))), d.send(ranged(ballot(1, 3, 6)))
	if n := d.nackWhileBusy(ranged(ballot(1, 1, 5))); n.Reason != vstack.ErrBallotStale || n.Ballot != ballot(1, 2, 5) {
		t.Errorf("below the rising minimum: %+v", n)
	}
	d.flush()
	for i, tok := range []Token{a, b} {
		if _, ok := d.replies[tok].(message.UploadPromise); !ok {
			t.Errorf("ranged prepare %d: %+v", i, d.replies[tok])
		}
	}
	if n := d.nack(ranged(ballot(1, 2, 5)), vstack.ErrBallotStale); n.Ballot != ballot(1, 3, 6) {
		t.Errorf("refusal names %s, want the higher minimum", n.Ballot)
	}
}

func TestASealFreezesTheEpochAndTellsItsVotes(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	seqs := slotsOfOneGroup(4)
	pg := testSlot(1).PG()
	for i, seq := range seqs[:2] {
		d.do(accept(seq, owner1, testValue(byte(i))))
	}
	other := uint32(1)
	for testSlot(other).PG() == pg {
		other++
	}
	d.do(accept(other, owner1, testValue(9)))
	put := d.send(accept(seqs[2], owner1, testValue(2))) // under way when the seal comes
	seal := d.send(message.Seal{PG: pg, Epoch: 1})
	if len(d.appends) != 1 {
		t.Fatalf("appends %+v, want only the vote yet", d.appends)
	}
	late := d.send(accept(seqs[3], owner1, testValue(3)))
	if n, ok := d.replies[late].(message.Nack); !ok || n.Reason != vstack.ErrEpochStale {
		t.Errorf("after the seal came: %+v, want EPOCH_STALE", d.replies[late])
	}
	d.flush()
	s, ok := d.replies[seal].(message.Sealed)
	if _, acked := d.replies[put].(message.Accepted); !ok || !acked || len(s.Votes) != 3 || s.More {
		t.Fatalf("seal answered %+v and the vote under way %+v; want three votes told", d.replies[seal], d.replies[put])
	}
	d.nack(accept(seqs[0], ballot(1, 1, 5), testValue(0)), vstack.ErrEpochStale)
	d.nack(prepare(seqs[0], ballot(1, 1, 5)), vstack.ErrEpochStale)
	p1 := d.do(message.Seal{PG: pg, Epoch: 1, Limit: 2}).(message.Sealed)
	p2 := d.do(message.Seal{PG: pg, Epoch: 1, Limit: 2, After: &p1.Votes[1].Slot}).(message.Sealed)
	if len(p1.Votes) != 2 || !p1.More || len(p2.Votes) != 1 || p2.More || p2.Votes[0] != s.Votes[2] {
		t.Errorf("pages %+v and %+v of %+v", p1, p2, s)
	}
	if up := d.do(ranged(owner1)).(message.UploadPromise); len(up.Groups) != vstack.PlacementGroups-1 || len(up.Votes) != 1 {
		t.Errorf("a ranged prepare speaks for a sealed group: %d groups, %d votes", len(up.Groups), len(up.Votes))
	}
	if _, ok := d.do(accept(other, ballot(1, 1, 5), testValue(9))).(message.Accepted); !ok {
		t.Error("another group is sealed too")
	}
	d.nack(message.Seal{PG: pg, Epoch: 2}, vstack.ErrEpochStale)

	a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: d.lsn})
	for _, r := range d.log {
		a.Restore(r)
	}
	a.Step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: []vstack.Upload{testUpload(1)}})
	a.Step(Echo{LSN: d.lsn, Index: 10})
	drive(t, a).nack(accept(seqs[3], owner1, testValue(3)), vstack.ErrEpochStale)
}

// nextEpoch installs votes for epoch 2 of slot 1's group at d, in pages of one.
func (d *driver) install(attempt uint32, votes ...message.Vote) {
	d.t.Helper()
	for i, v := range votes {
		tok := d.send(message.Install{PG: testSlot(1).PG(), Epoch: 2, Attempt: attempt, First: i == 0, Final: i == len(votes)-1, Votes: []message.Vote{v}})
		if n := len(d.fetches); n == 0 || !d.fetches[n-1].Store || len(d.appends) != 0 {
			d.t.Fatalf("fetches %+v, appends %+v; want durable bytes first", d.fetches, d.appends)
		}
		d.step(BytesReady{Token: tok, Stored: true})
		d.flush()
		if r, ok := d.replies[tok].(message.Installed); !ok || r.Final != (i == len(votes)-1) {
			d.t.Fatalf("page %d answered %+v", i, d.replies[tok])
		}
	}
}

func TestAnInstalledEpochVotesOnlyOnceItIsActivated(t *testing.T) {
	seqs := slotsOfOneGroup(3)
	vote := func(i int, v byte) message.Vote {
		return message.Vote{Slot: testSlot(seqs[i]), Upload: vstack.UploadID(id(1)), Value: testValue(v)}
	}
	put := func(i int, b vstack.Ballot, v byte) message.Accept {
		m := accept(seqs[i], b, testValue(v))
		m.Epoch = 2
		return m
	}
	d := drive(t, ready(t, 0, testUpload(1)))
	d.do(accept(seqs[2], owner1, testValue(7))) // an old minority vote that the driver did not pick
	d.install(1, vote(0, 9))                    // a driver that died
	d.install(2, vote(0, 1), vote(1, 2))
	d.nack(message.Install{PG: testSlot(1).PG(), Epoch: 2, Attempt: 1, First: true, Final: true}, vstack.ErrEpochStale)
	d.nack(put(0, ballot(1, 1, 5), 1), vstack.ErrEpochStale)

	check := func(d *driver) {
		t.Helper()
		for i, v := range []byte{1, 2} {
			st, ok := d.do(message.Query{Slot: testSlot(seqs[i])}).(message.SlotState)
			if !ok || st.Value != testValue(v) || st.Accepted != message.InstallBallot(2) || st.Epoch != 2 {
				t.Errorf("slot %d holds %+v", i, st)
			}
		}
		if st := d.do(message.Query{Slot: testSlot(seqs[2])}).(message.SlotState); !st.Accepted.IsZero() {
			t.Errorf("a vote of the old epoch lives on: %+v", st)
		}
	}
	d.step(CatalogChange{Applied: 11, Groups: allGroups(2, 2)})
	check(d)
	d.nack(put(0, owner1, 9), vstack.ErrSlotConflict) // round 0 finds the slot filled
	p := prepare(seqs[0], ballot(1, 1, 5))
	p.Epoch = 2
	if r, ok := d.do(p).(message.Promise); !ok || r.Value != testValue(1) {
		t.Errorf("promise %+v, want the installed value", r)
	}

	restart := func() *driver {
		a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: d.lsn})
		for i := range d.log {
			a.Restore(d.log[len(d.log)-1-i])
		}
		a.Step(CatalogChange{Applied: 11, Groups: allGroups(2, 2), Uploads: []vstack.Upload{testUpload(1)}})
		a.Step(Echo{LSN: d.lsn, Index: 11})
		return drive(t, a)
	}
	check(restart())
	if _, ok := d.do(put(0, ballot(1, 1, 5), 1)).(message.Accepted); !ok {
		t.Fatal("the new epoch does not vote")
	}
	if st := restart().do(message.Query{Slot: testSlot(seqs[0])}).(message.SlotState); st.Accepted != ballot(1, 1, 5) {
		t.Errorf("a restart lost the vote of the new epoch to the installed one: %+v", st)
	}
}

func TestAnAcceptorWithoutItsInstallDoesNotVoteInTheNewEpoch(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	d.step(CatalogChange{Applied: 11, Groups: allGroups(2, 2)})
	m := accept(1, owner1, testValue(1))
	m.Epoch = 2
	d.nack(m, vstack.ErrUnavailable)
	if up := d.do(ranged(owner1)).(message.UploadPromise); len(up.Groups) != 0 {
		t.Errorf("it promises for %d groups", len(up.Groups))
	}
	d.install(2, message.Vote{Slot: testSlot(1), Upload: vstack.UploadID(id(1)), Value: testValue(3)})
	if st, ok := d.do(message.Query{Slot: testSlot(1)}).(message.SlotState); !ok || st.Value != testValue(3) {
		t.Errorf("after a late install: %+v", st)
	}
}

func TestMalformedInstallsAreRefused(t *testing.T) {
	pg := testSlot(1).PG()
	good := message.Vote{Slot: testSlot(1), Upload: vstack.UploadID(id(1)), Value: testValue(1)}
	elsewhere, empty := good, good
	elsewhere.Slot.Track = 1
	empty.Value.Size = 0
	if elsewhere.Slot.PG() == pg {
		t.Fatal("the other slot is of the same group")
	}
	for name, m := range map[string]message.Install{
		"no attempt":       {PG: pg, Epoch: 2, First: true, Final: true},
		"no first page":    {PG: pg, Epoch: 2, Attempt: 1, Final: true},
		"another group":    {PG: pg, Epoch: 2, Attempt: 1, First: true, Votes: []message.Vote{elsewhere}},
		"an empty value":   {PG: pg, Epoch: 2, Attempt: 1, First: true, Votes: []message.Vote{empty}},
		"a page too large": {PG: pg, Epoch: 2, Attempt: 1, First: true, Votes: make([]message.Vote, message.MaxPage+1)},
	} {
		t.Run(name, func(t *testing.T) {
			drive(t, ready(t, 0, testUpload(1))).nack(m, vstack.ErrInvalid)
		})
	}
	drive(t, ready(t, 0, testUpload(1))).nack(message.Install{PG: pg, Epoch: 1, Attempt: 1, First: true}, vstack.ErrEpochStale)
}

func TestAStoreBelowItsEchoIsBarredUntilItsGroupsMoveEpoch(t *testing.T) {
	for name, learn := range map[string]func(*driver){
		"by the catalog": func(d *driver) { d.step(Echo{LSN: 40, Index: 10}) },
		"by a peer": func(d *driver) {
			d.step(Echo{Index: 10})
			d.step(Request{Token: 90, Msg: message.Query{Slot: testSlot(1)}, Echo: 40})
		},
		// It wrote since its start that an upload ended, which nobody waits for.
		"by the catalog, though its LSN is above again": func(d *driver) {
			d.step(AppendDone{LSN: 41})
			d.step(Echo{LSN: 40, Current: 41, Index: 10})
		},
		"by a peer, though its LSN is above again": func(d *driver) {
			d.step(AppendDone{LSN: 41})
			d.step(Echo{LSN: 39, Current: 41, Index: 10})
			d.step(Request{Token: 90, Msg: message.Query{Slot: testSlot(1)}, Echo: 40})
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: 39})
			d := drive(t, a)
			d.step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: []vstack.Upload{testUpload(1)}})
			learn(d)
			if above := d.appends[0].Above; above < 40 {
				t.Errorf("the bar is asked for above %d, others saw 40", above)
			}
			d.lsn = 41
			d.flush()
			d.nack(accept(1, owner1, testValue(1)), vstack.ErrAmnesic)
			d.nack(prepare(1, ballot(1, 1, 5)), vstack.ErrAmnesic)
			d.nack(message.Seal{PG: testSlot(1).PG(), Epoch: 1}, vstack.ErrAmnesic)
			if up := d.do(ranged(owner1)).(message.UploadPromise); len(up.Groups) != 0 {
				t.Errorf("it promises for %d groups", len(up.Groups))
			}
			if len(d.alarms) != 1 || a.Stats().Amnesic != vstack.PlacementGroups {
				t.Errorf("alarms %v, %+v", d.alarms, a.Stats())
			}
			// Its LSN has passed the echo by now; the bar is on disk.
			b, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: d.lsn})
			for _, r := range d.log {
				b.Restore(r)
			}
			r := drive(t, b)
			r.step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: []vstack.Upload{testUpload(1)}})
			r.step(Echo{LSN: 40, Current: d.lsn, Index: 10})
			r.nack(accept(1, owner1, testValue(1)), vstack.ErrAmnesic)
			r.step(CatalogChange{Applied: 11, Groups: allGroups(2, 0)})
			m := accept(1, owner1, testValue(1))
			m.Epoch = 2
			if _, ok := r.do(m).(message.Accepted); !ok {
				t.Error("still barred after the epoch moved")
			}
		})
	}
}

// TestAnEchoIsSettledByItsBar: the records that bar a store lie above what others saw, so
// that a restart, after its groups moved, does not take the old echo for a new loss. A
// second loss is one: then the log is below what others saw since.
func TestAnEchoIsSettledByItsBar(t *testing.T) {
	for name, groups := range map[string][]Group{"with groups": allGroups(1, 0), "with none": nil} {
		t.Run(name, func(t *testing.T) {
			a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: 39})
			d := drive(t, a)
			d.step(CatalogChange{Applied: 10, Groups: groups})
			d.step(Echo{LSN: 5000, Index: 10})
			d.lsn = 39
			d.flush()
			if d.lsn <= 5000 {
				t.Fatalf("the log ends at %d", d.lsn)
			}
			restart := func(lsn vstack.LSN) *driver {
				b, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: lsn})
				for _, r := range d.log {
					if r.LSN <= lsn {
						b.Restore(r)
					}
				}
				r := drive(t, b)
				r.step(CatalogChange{Applied: 11, Groups: allGroups(2, 0)})
				r.step(Echo{LSN: max(5000, d.lsn), Current: lsn, Index: 11})
				return r
			}
			if r := restart(d.lsn); len(r.alarms) != 0 || r.a.Stats().Amnesic != 0 {
				t.Errorf("all is there, and it is barred again: %v, %+v", r.alarms, r.a.Stats())
			}
			if r := restart(d.lsn - 1); len(r.alarms) != 1 || r.a.Stats().Amnesic != vstack.PlacementGroups {
				t.Errorf("a second loss is not seen: %v, %+v", r.alarms, r.a.Stats())
			}
		})
	}
}

func TestABarThatAFullDiskRefusedIsAskedForAgain(t *testing.T) {
	a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: 39})
	d := drive(t, a)
	d.step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: []vstack.Upload{testUpload(1)}})
	d.step(Echo{LSN: 40, Index: 10})
	if len(d.appends) != 1 || len(d.appends[0].Records) != vstack.PlacementGroups {
		t.Fatalf("appends %+v, want one bar for each group", d.appends)
	}
	d.appends = nil
	d.step(AppendDone{Err: vstack.ErrDiskFull})
	d.step(Echo{LSN: 40, Index: 11})
	if len(d.appends) != 1 || d.appends[0].Records[0].Kind != DurableAmnesia {
		t.Fatalf("appends %+v, want the bars again", d.appends)
	}
	d.flush()
	d.step(Echo{LSN: 40, Index: 12})
	if len(d.appends) != 0 || len(d.alarms) != 1 {
		t.Errorf("appends %+v, alarms %+v after the bars are durable", d.appends, d.alarms)
	}
}

func TestAnEndedUploadLeavesNothingInMemory(t *testing.T) {
	ended := testUpload(1)
	ended.State = vstack.UploadPublished
	for name, change := range map[string]CatalogChange{
		"published": {Applied: 11, Uploads: []vstack.Upload{ended}},
		"deleted":   {Applied: 11, Deleted: []vstack.VideoID{ended.Video}},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, ready(t, 0, testUpload(1)))
			for seq := range uint32(10) {
				d.do(accept(seq, owner1, testValue(1)))
			}
			busy := d.send(accept(11, owner1, testValue(1)))
			waits := d.send(ranged(ballot(1, 1, 5)))
			d.step(change)
			d.flush()
			for _, tok := range []Token{busy, waits} {
				if n, ok := d.replies[tok].(message.Nack); !ok || n.Reason != vstack.ErrUploadNotLive {
					t.Errorf("request %d under way: %+v, want UPLOAD_NOT_LIVE", tok, d.replies[tok])
				}
			}
			d.nack(accept(1, owner1, testValue(1)), vstack.ErrUploadNotLive)
			if st := d.a.Stats(); st.Slots+st.Uploads+st.Requests+st.Busy != 0 || len(d.a.volumes) != 0 {
				t.Errorf("left in memory: %+v, %d volumes", st, len(d.a.volumes))
			}
			for pg, g := range d.a.groups {
				if len(g.slots) != 0 || g.inflight != 0 {
					t.Errorf("group %d keeps %d slots, %d in flight", pg, len(g.slots), g.inflight)
				}
			}
			if last := d.log[len(d.log)-1]; last.Kind != DurableForget && d.log[len(d.log)-2].Kind != DurableForget {
				t.Errorf("the log was not told: %+v", last)
			}
		})
	}
}

func TestASurveyKnowsWhatIsChosenAndWhereRoundZeroIsSafe(t *testing.T) {
	m := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range m.Groups {
		m.Groups[i] = vstack.PGTargets{Epoch: 1, Targets: testStores}
	}
	up := testUpload(2)
	ds := make([]*driver, 3)
	for i := range ds {
		ds[i] = drive(t, ready(t, i, testUpload(1)))
	}
	for i, seqs := range [][]uint32{{1, 2}, {1}, {1}} { // slot 1 chosen, slot 2 on one store, slot 3 nowhere
		for _, seq := range seqs {
			ds[i].do(accept(seq, owner1, testValue(byte(seq))))
		}
		ds[i].step(CatalogChange{Applied: 11, Uploads: []vstack.Upload{up}})
	}
	ask := func(stores ...int) *survey.Survey {
		s, err := survey.New(up, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range stores {
			for msg, more := s.Next(store(i)); more; msg, more = s.Next(store(i)) {
				msg.Limit = 1
				if err := s.Add(ds[i].do(msg).(message.UploadPromise)); err != nil {
					t.Fatal(err)
				}
			}
		}
		return s
	}
	whole := ask(0, 1, 2)
	if c := whole.Chosen(); len(c) != 1 || c[testSlot(1)] != testValue(1) {
		t.Errorf("chosen %v, want slot 1 alone", c)
	}
	if whole.Fast(testSlot(1), 1) || whole.Fast(testSlot(2), 1) || !whole.Fast(testSlot(3), 1) {
		t.Error("round 0 is safe on slot 3 alone")
	}
	if whole.Fast(testSlot(3), 2) {
		t.Error("a promise does not outlive its epoch")
	}
	if s := ask(1, 2); !s.Fast(testSlot(2), 1) {
		t.Error("two empty acceptors of three are enough: they refuse what the third could still complete")
	}
	if s := ask(0); s.Fast(testSlot(3), 1) || len(s.Chosen()) != 0 {
		t.Error("one store is no majority")
	}
	part := ask(1)
	first, _ := part.Next(store(0))
	first.Limit = 1
	if err := part.Add(ds[0].do(first).(message.UploadPromise)); err != nil || part.Fast(testSlot(3), 1) {
		t.Errorf("half a store's answer made a majority: %v", err)
	}
	if err := whole.Add(message.UploadPromise{Store: store(0)}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("a page too many: %v", err)
	}
	if _, err := survey.New(up, &vstack.PlacementMap{}); !errors.Is(err, vstack.ErrNotReady) {
		t.Errorf("a survey without a map: %v", err)
	}
}

// Until the echo is judged, a store writes nothing unasked: a crash in between would find
// its LSN above the echo. Then the bar goes first.
func TestARecordThatNobodyWaitsForComesAfterTheBar(t *testing.T) {
	a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: 39})
	a.Restore(Durable{Kind: DurableVote, Slot: testSlot(1), PG: testSlot(1).PG(), Epoch: 1, Upload: testUpload(1).ID, Ballot: owner1, Value: testValue(1), LSN: 39})
	ended := testUpload(1)
	ended.State = vstack.UploadAborted
	if out := a.Step(Echo{LSN: 40, Index: 12}); len(out) != 1 { // the alarm; no group is known yet
		t.Fatalf("%+v", out)
	}
	if out := a.Step(CatalogChange{Applied: 11, Groups: allGroups(1, 0), Uploads: []vstack.Upload{ended}}); len(out) != 0 {
		t.Fatalf("writes %+v before the catalog is applied up to the echo's index", out)
	}
	var kinds []DurableKind
	for _, e := range a.Step(CatalogChange{Applied: 12}) {
		if e, ok := e.(Append); ok {
			kinds = append(kinds, e.Records[0].Kind)
		}
	}
	if len(kinds) != 2 || kinds[0] != DurableAmnesia || kinds[1] != DurableForget {
		t.Errorf("writes %v, want the bar and then what ended", kinds)
	}
}
