package chunkpaxos

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// driver plays the runtime of one acceptor, one input at a time.
type driver struct {
	t       *testing.T
	a       *Acceptor
	lsn     vstack.LSN
	tokens  Token
	log     []Durable
	appends []Append     // asked for, not done yet
	fetches []FetchBytes // likewise
	timers  []SetTimer
	alarms  []Alarm
	halts   []Halt
	replies map[Token]message.Reply
}

func drive(t *testing.T, a *Acceptor) *driver {
	return &driver{t: t, a: a, replies: map[Token]message.Reply{}}
}

func (d *driver) step(in Input) {
	for _, e := range d.a.Step(in) {
		switch e := e.(type) {
		case Append:
			d.appends = append(d.appends, e)
		case FetchBytes:
			d.fetches = append(d.fetches, e)
		case SetTimer:
			d.timers = append(d.timers, e)
		case Alarm:
			d.alarms = append(d.alarms, e)
		case Halt:
			d.halts = append(d.halts, e)
		case Respond:
			if d.replies[e.Token] != nil {
				d.t.Fatalf("request %d was answered twice", e.Token)
			}
			d.replies[e.Token] = e.Reply
		}
	}
}

// send hands a message over, with bytes if it is an Accept.
func (d *driver) send(m message.Message) Token {
	d.tokens++
	_, put := m.(message.Accept)
	d.step(Request{Token: d.tokens, Msg: m, HasBytes: put})
	return d.tokens
}

// flush completes the appends that wait, and those that follow from them.
func (d *driver) flush() {
	for len(d.appends) > 0 {
		e := d.appends[0]
		d.appends = d.appends[1:]
		d.lsn = max(d.lsn, e.Above)
		for _, r := range e.Records {
			d.lsn++
			r.LSN = d.lsn
			d.log = append(d.log, r)
		}
		d.step(AppendDone{Token: e.Token, LSN: d.lsn})
	}
}

// do sends a message and returns its reply once everything is durable.
func (d *driver) do(m message.Message) message.Reply {
	t := d.send(m)
	d.flush()
	return d.replies[t]
}

// nack sends a message that must be refused for a reason, without an append: at once, or
// when the catalog has not told of what it is about for long enough.
func (d *driver) nack(m message.Message, reason *vstack.Sentinel) message.Nack {
	d.t.Helper()
	t := d.send(m)
	if d.replies[t] == nil {
		d.step(Timeout{Token: t})
	}
	n, ok := d.replies[t].(message.Nack)
	if !ok || n.Reason != reason {
		d.t.Fatalf("%+v answered %+v, want a refusal for %s", m, d.replies[t], reason.Code())
	}
	if len(d.appends) > 0 {
		d.t.Fatalf("%+v was refused and appended %+v", m, d.appends)
	}
	return n
}

func ballot(inc vstack.Incarnation, round uint32, proposer byte) vstack.Ballot {
	return vstack.Ballot{Incarnation: inc, Round: round, Proposer: vstack.ProposerID(id(proposer))}
}

func accept(seq uint32, b vstack.Ballot, v vstack.Value) message.Accept {
	return message.Accept{Slot: testSlot(seq), Epoch: 1, Upload: vstack.UploadID(id(1)), Ballot: b, Value: v}
}

func prepare(seq uint32, b vstack.Ballot) message.Prepare {
	return message.Prepare{Slot: testSlot(seq), Epoch: 1, Upload: vstack.UploadID(id(1)), Ballot: b}
}

func ranged(b vstack.Ballot) message.PrepareUpload {
	return message.PrepareUpload{Upload: vstack.UploadID(id(1)), Ballot: b}
}

var owner1 = ballot(1, 0, 1)

func TestFencesRefuseEachForItsReason(t *testing.T) {
	put := accept(1, owner1, testValue(1))
	change := func(f func(*message.Accept)) message.Accept { m := put; f(&m); return m }
	for name, c := range map[string]struct {
		msg  message.Message
		want *vstack.Sentinel
	}{
		"an older epoch":              {change(func(m *message.Accept) { m.Epoch = 0 }), vstack.ErrEpochStale},
		"a newer epoch":               {change(func(m *message.Accept) { m.Epoch = 2 }), vstack.ErrEpochStale},
		"an unknown upload":           {change(func(m *message.Accept) { m.Upload = vstack.UploadID(id(9)) }), vstack.ErrUploadNotLive},
		"another video's slot":        {change(func(m *message.Accept) { m.Slot.Video = vstack.VideoID(id(9)) }), vstack.ErrInvalid},
		"round 0 by another process":  {change(func(m *message.Accept) { m.Ballot = ballot(1, 0, 9) }), vstack.ErrNotOwner},
		"an older incarnation":        {change(func(m *message.Accept) { m.Ballot = ballot(0, 5, 1) }), vstack.ErrFenced},
		"an unknown incarnation":      {change(func(m *message.Accept) { m.Ballot = ballot(2, 0, 2) }), vstack.ErrCatalogLagging},
		"an empty value":              {change(func(m *message.Accept) { m.Value.Size = 0 }), vstack.ErrInvalid},
		"an oversize value":           {change(func(m *message.Accept) { m.Value.Size = vstack.MaxChunkSize + 1 }), vstack.ErrInvalid},
		"a prepare at round 0":        {prepare(1, owner1), vstack.ErrInvalid},
		"a prepare of an old epoch":   {message.Prepare{Slot: testSlot(1), Epoch: 7, Ballot: ballot(1, 1, 5)}, vstack.ErrEpochStale},
		"ranged by another process":   {ranged(ballot(1, 0, 9)), vstack.ErrNotOwner},
		"ranged for an ended upload":  {message.PrepareUpload{Upload: vstack.UploadID(id(9)), Ballot: owner1}, vstack.ErrUploadNotLive},
		"a query of an unknown video": {message.Query{Slot: vstack.Slot{Video: vstack.VideoID(id(9))}}, vstack.ErrUploadNotLive},
	} {
		t.Run(name, func(t *testing.T) {
			drive(t, ready(t, 0, testUpload(1))).nack(c.msg, c.want)
		})
	}
	t.Run("a store that is no acceptor", func(t *testing.T) {
		drive(t, ready(t, 7, testUpload(1))).nack(put, vstack.ErrNotAcceptor)
	})
}

func TestBallotsAreJudgedAgainstPromiseMinimumAndVote(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	if p, ok := d.do(prepare(1, ballot(1, 3, 5))).(message.Promise); !ok || !p.Accepted.IsZero() || p.LSN != 1 {
		t.Fatalf("promise %+v, want an empty slot", p)
	}
	if n := d.nack(accept(1, owner1, testValue(1)), vstack.ErrBallotStale); n.Ballot != ballot(1, 3, 5) {
		t.Errorf("refusal names ballot %s, want the promised one", n.Ballot)
	}
	d.nack(prepare(1, ballot(1, 2, 5)), vstack.ErrBallotStale)
	if r, ok := d.do(prepare(1, ballot(1, 3, 5))).(message.Promise); !ok || len(d.log) != 1 {
		t.Errorf("a repeated prepare answered %+v after %d records, want the same promise and one record", r, len(d.log))
	}
	if _, ok := d.do(accept(1, ballot(1, 3, 5), testValue(2))).(message.Accepted); !ok {
		t.Fatal("the promised ballot was refused")
	}
	if _, ok := d.do(accept(1, ballot(1, 4, 6), testValue(2))).(message.Accepted); !ok { // accepting raises the promise
		t.Fatal("a higher ballot was refused")
	}
	n := d.nack(prepare(1, ballot(1, 3, 9)), vstack.ErrBallotStale)
	if n.Ballot != ballot(1, 4, 6) || n.Value != testValue(2) || n.Epoch != 1 {
		t.Errorf("refusal %+v, want the vote's ballot, value and epoch", n)
	}
	if p := d.do(prepare(1, ballot(1, 5, 5))).(message.Promise); p.Accepted != ballot(1, 4, 6) || p.Value != testValue(2) {
		t.Errorf("promise %+v does not tell the vote", p)
	}
	st := d.do(message.Query{Slot: testSlot(1)}).(message.SlotState)
	if st.Promised != ballot(1, 5, 5) || st.Accepted != ballot(1, 4, 6) || st.Value != testValue(2) || st.LSN != 3 {
		t.Errorf("state %+v", st)
	}
}

func TestRoundZeroNeedsAnEmptySlot(t *testing.T) {
	up := testUpload(1)
	d := drive(t, ready(t, 0, up))
	d.do(accept(1, owner1, testValue(1)))
	d.step(CatalogChange{Applied: 11, Uploads: []vstack.Upload{testUpload(2)}})
	n := d.nack(accept(1, ballot(2, 0, 2), testValue(2)), vstack.ErrSlotConflict)
	if n.Value != testValue(1) || n.Ballot != owner1 {
		t.Errorf("refusal %+v, want what the slot holds", n)
	}
	if r, ok := d.do(accept(1, ballot(2, 0, 2), testValue(1))).(message.Accepted); !ok {
		t.Errorf("the same value answered %+v, want an acknowledgement", r)
	}
}

func TestTheSameBallotAndValueIsAcknowledgedAgain(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	first := d.do(accept(1, owner1, testValue(1)))
	if again := d.do(accept(1, owner1, testValue(1))); again != first {
		t.Errorf("answered %+v, then %+v", first, again)
	}
	if len(d.log) != 1 {
		t.Errorf("%d records, want 1", len(d.log))
	}
}

func TestABallotReusedForAnotherValueIsRefusedWithAnAlarm(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	d.do(accept(1, owner1, testValue(1)))
	if n := d.nack(accept(1, owner1, testValue(2)), vstack.ErrBallotReused); n.Value != testValue(1) {
		t.Errorf("refusal %+v, want the value held", n)
	}
	if len(d.alarms) != 1 || d.alarms[0].Reason != vstack.ErrBallotReused {
		t.Errorf("alarms %+v, want one", d.alarms)
	}
}

func TestASlotIsBusyFromCheckToAcknowledgementAndOthersAreNot(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	put := d.send(accept(1, owner1, testValue(1)))
	prep := d.send(prepare(1, ballot(1, 1, 5)))
	other := d.send(accept(2, owner1, testValue(2)))
	if len(d.appends) != 2 || d.appends[0].Token != put || d.appends[1].Token != other {
		t.Fatalf("appends %+v, want one for each slot", d.appends)
	}
	d.flush()
	if p, ok := d.replies[prep].(message.Promise); !ok || p.Accepted != owner1 {
		t.Errorf("the queued prepare answered %+v, want the vote that went before", d.replies[prep])
	}
}

func TestQueuesAreBounded(t *testing.T) {
	up := testUpload(1)
	a := ready(t, 0, up)
	a.cfg.MaxQueue, a.cfg.MaxRequests, a.cfg.MaxSlots = 2, 5, 2
	d := drive(t, a)
	for r := range uint32(3) { // one holds the slot, two wait
		d.send(prepare(1, ballot(1, 1+r, 5)))
	}
	lack := func(m message.Message) {
		t.Helper()
		if n := d.nackWhileBusy(m); n.Reason != vstack.ErrUnavailable {
			t.Errorf("%+v answered %+v, want a refusal for lack of room", m, n)
		}
	}
	lack(prepare(1, ballot(1, 9, 5)))
	d.send(prepare(2, ballot(1, 1, 5)))
	lack(prepare(3, ballot(1, 1, 5))) // MaxSlots
	d.step(Request{Token: 100, Msg: prepare(2, ballot(1, 2, 5))})
	lack(prepare(2, ballot(1, 3, 5))) // MaxRequests
	d.flush()
	if st := a.Stats(); st.Requests != 0 || st.Busy != 0 || st.Slots != 2 {
		t.Errorf("after all is done %+v", st)
	}
}

// nackWhileBusy sends a message that is refused while other appends wait.
func (d *driver) nackWhileBusy(m message.Message) message.Nack {
	d.t.Helper()
	t := d.send(m)
	n, ok := d.replies[t].(message.Nack)
	if !ok {
		d.t.Fatalf("%+v answered %+v, want a refusal", m, d.replies[t])
	}
	return n
}

func TestAnAppendErrorHaltsAndNothingIsAnsweredAfterIt(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	d.send(accept(1, owner1, testValue(1)))
	d.send(accept(2, owner1, testValue(2)))
	d.step(AppendDone{Token: 1, Err: errIO})
	d.step(AppendDone{Token: 2, LSN: 2})
	d.send(message.Query{Slot: testSlot(1)})
	if len(d.halts) != 1 || len(d.replies) != 0 {
		t.Errorf("halts %v, replies %v; want one halt and silence", d.halts, d.replies)
	}
}

// TestAMessageOfAnEpochAheadWaitsForTheCatalog: a client that has read of an activation
// is not sent away by an acceptor whose feed has not come yet.
func TestAMessageOfAnEpochAheadWaitsForTheCatalog(t *testing.T) {
	at := func(e vstack.Epoch) (message.Accept, message.Prepare, message.Seal) {
		a, p := accept(1, owner1, testValue(1)), prepare(2, ballot(1, 1, 5))
		a.Epoch, p.Epoch = e, e
		return a, p, message.Seal{PG: testSlot(3).PG(), Epoch: e}
	}
	d := drive(t, ready(t, 0, testUpload(1)))
	acc, prep, seal := at(2)
	waiting := []Token{d.send(acc), d.send(prep), d.send(seal)}
	d.flush()
	d.step(CatalogChange{Applied: 11, Groups: allGroups(1, 0)}) // of something else
	if len(d.replies) != 0 || len(d.log) != 0 {
		t.Fatalf("answered %+v before the epoch was known", d.replies)
	}
	d.step(CatalogChange{Applied: 12, Groups: allGroups(2, 0)})
	d.flush()
	if _, ok := d.replies[waiting[0]].(message.Accepted); !ok {
		t.Errorf("accept: %+v", d.replies[waiting[0]])
	}
	if _, ok := d.replies[waiting[1]].(message.Promise); !ok {
		t.Errorf("prepare: %+v", d.replies[waiting[1]])
	}
	if _, ok := d.replies[waiting[2]].(message.Sealed); !ok {
		t.Errorf("seal: %+v", d.replies[waiting[2]])
	}
	acc, _, _ = at(3)
	late := d.send(acc)
	d.step(Timeout{Token: late})
	if n, ok := d.replies[late].(message.Nack); !ok || n.Reason != vstack.ErrEpochStale || n.Epoch != 2 {
		t.Errorf("after its time: %+v, want EPOCH_STALE of epoch 2", d.replies[late])
	}
}

func TestAFullDiskRefusesAndLeavesTheSlotAsItWas(t *testing.T) {
	for _, m := range []message.Message{accept(1, owner1, testValue(1)), prepare(1, ballot(1, 1, 5)), ranged(owner1), message.Seal{PG: testSlot(1).PG(), Epoch: 1}} {
		t.Run(fmt.Sprintf("%T", m), func(t *testing.T) {
			d := drive(t, ready(t, 0, testUpload(1)))
			tok := d.send(m)
			d.appends = nil
			d.step(AppendDone{Token: tok, Err: fmt.Errorf("append: %w", vstack.ErrDiskFull)})
			if n, ok := d.replies[tok].(message.Nack); !ok || n.Reason != vstack.ErrDiskFull {
				t.Fatalf("answered %+v, want DISK_FULL", d.replies[tok])
			}
			if r, ok := d.do(accept(1, owner1, testValue(2))).(message.Accepted); !ok {
				t.Errorf("with room again: %+v, want an acknowledgement", r)
			}
		})
	}
}

func TestARequestWaitsForTheCatalogUpToABound(t *testing.T) {
	d := drive(t, ready(t, 0))
	late, never := accept(1, owner1, testValue(1)), accept(2, owner1, testValue(2))
	late.UploadIndex, never.UploadIndex = 12, 99
	a, b := d.send(late), d.send(never)
	if len(d.replies) != 0 || len(d.timers) != 2 {
		t.Fatalf("replies %v, timers %v; want both to wait", d.replies, d.timers)
	}
	d.step(CatalogChange{Applied: 12, Uploads: []vstack.Upload{testUpload(1)}})
	d.flush()
	if _, ok := d.replies[a].(message.Accepted); !ok {
		t.Errorf("after catching up: %+v", d.replies[a])
	}
	d.step(Timeout{Token: a})
	d.step(Timeout{Token: b})
	if n, ok := d.replies[b].(message.Nack); !ok || n.Reason != vstack.ErrCatalogLagging {
		t.Errorf("after its time: %+v, want CATALOG_LAGGING", d.replies[b])
	}
}

func TestNothingIsJudgedBeforeTheFirstEchoAndItsIndex(t *testing.T) {
	a, err := NewAcceptor(AcceptorConfig{Store: store(0)})
	if err != nil {
		t.Fatal(err)
	}
	d := drive(t, a)
	d.step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: []vstack.Upload{testUpload(1)}})
	tok := d.send(accept(1, owner1, testValue(1)))
	d.step(Echo{Index: 11})
	if len(d.appends) != 0 {
		t.Fatal("voted below the echo's index")
	}
	d.step(CatalogChange{Applied: 11})
	d.flush()
	if _, ok := d.replies[tok].(message.Accepted); !ok {
		t.Errorf("answered %+v", d.replies[tok])
	}
}

func TestBytesAreFetchedBeforeAVoteAndChecksAreMadeAgain(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	bodiless := func(tok Token, m message.Accept) { d.step(Request{Token: tok, Msg: m}) }
	bodiless(50, accept(1, ballot(1, 1, 5), testValue(1)))
	if len(d.fetches) != 1 || len(d.appends) != 0 {
		t.Fatalf("fetches %v, appends %v; want the bytes first", d.fetches, d.appends)
	}
	d.do(prepare(1, ballot(1, 2, 5))) // the slot is not held while bytes travel
	d.step(BytesReady{Token: 50})
	if n, ok := d.replies[50].(message.Nack); !ok || n.Reason != vstack.ErrBallotStale {
		t.Errorf("after a higher promise: %+v, want BALLOT_STALE", d.replies[50])
	}
	bodiless(51, accept(1, ballot(1, 2, 5), testValue(1)))
	d.step(BytesReady{Token: 51, Err: errIO})
	if n, ok := d.replies[51].(message.Nack); !ok || n.Reason != vstack.ErrBytesMissing {
		t.Errorf("without bytes: %+v, want BYTES_MISSING", d.replies[51])
	}
	bodiless(52, accept(1, ballot(1, 2, 5), testValue(1)))
	d.step(BytesReady{Token: 52, Stored: true})
	if len(d.appends) != 1 || d.appends[0].WithBytes {
		t.Errorf("appends %+v, want a vote without bytes for a stored chunk", d.appends)
	}
	d.flush()
	bodiless(53, accept(1, ballot(1, 3, 5), testValue(1)))
	if len(d.fetches) != 3 || len(d.appends) != 1 || d.appends[0].WithBytes {
		t.Errorf("fetches %d, appends %+v; the slot's own value needs no bytes again", len(d.fetches), d.appends)
	}
}

func TestCanceledRequestsLeaveNothingBehind(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	parked := accept(3, owner1, testValue(1))
	parked.UploadIndex = 99
	toks := []Token{d.send(accept(1, owner1, testValue(1))), d.send(prepare(1, ballot(1, 1, 5))), d.send(parked)}
	d.step(Request{Token: 50, Msg: accept(2, ballot(1, 1, 5), testValue(2))})
	for _, tok := range append(toks, 50) {
		d.step(Cancel{Token: tok})
	}
	d.flush()
	if st := d.a.Stats(); len(d.replies) != 0 || st.Requests+st.Parked+st.Busy != 0 {
		t.Errorf("replies %v, %+v; want neither", d.replies, st)
	}
	if len(d.log) != 1 {
		t.Errorf("%d records; the append under way goes on, the queued one does not start", len(d.log))
	}
}

func TestRestoreDoesNotDependOnOrder(t *testing.T) {
	d := drive(t, ready(t, 0, testUpload(1)))
	d.do(accept(1, owner1, testValue(1)))
	d.do(prepare(1, ballot(1, 4, 5)))
	d.do(accept(1, ballot(1, 4, 5), testValue(2)))
	d.do(accept(2, owner1, testValue(3)))
	d.do(prepare(3, ballot(1, 2, 5)))
	want := []message.Reply{}
	for seq := range uint32(4) {
		want = append(want, d.do(message.Query{Slot: testSlot(seq)}))
	}
	for turn := range len(d.log) {
		a, _ := NewAcceptor(AcceptorConfig{Store: store(0), LSN: d.lsn})
		for i := range d.log {
			a.Restore(d.log[(i*3+turn)%len(d.log)])
		}
		a.Step(CatalogChange{Applied: 10, Groups: allGroups(1, 0), Uploads: []vstack.Upload{testUpload(1)}})
		a.Step(Echo{LSN: d.lsn, Index: 10})
		r := drive(t, a)
		for seq := range uint32(4) {
			if diff := cmp.Diff(want[seq], r.do(message.Query{Slot: testSlot(seq)})); diff != "" {
				t.Fatalf("slot %d after a restart (-before +after):\n%s", seq, diff)
			}
		}
	}
}
