package epochchange

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

func store(i int) vstack.StoreID {
	return vstack.StoreID{15: 0xa0 + byte(i)}
}

// pg is of every slot in these tests.
var pg = slots(1)[0].PG()

// slots returns n slots of one placement group, in order.
func slots(n int) []vstack.Slot {
	s := []vstack.Slot{{Video: vstack.VideoID{15: 1}, Seq: 1}}
	for seq := uint32(2); len(s) < n; seq++ {
		if at := (vstack.Slot{Video: s[0].Video, Seq: seq}); at.PG() == s[0].PG() {
			s = append(s, at)
		}
	}
	return s
}

// vote is one at incarnation inc, of a value that content makes its own.
func vote(at vstack.Slot, inc uint64, content byte) message.Vote {
	return message.Vote{
		Slot: at, Upload: vstack.UploadID{15: 2}, Epoch: 1, Ballot: vstack.Ballot{Incarnation: vstack.Incarnation(inc), Proposer: vstack.ProposerID{15: 3}},
		Value: vstack.Value{Chunk: vstack.ChunkIDOf([]byte{content}), Size: 100},
	}
}

// attempt runs one Reconfigurer by hand: A, B, C of epoch 1; A, B, D of epoch 2.
type attempt struct {
	t      *testing.T
	r      *Reconfigurer
	sent   []Send // not answered yet
	timers []SetTimer
	asked  int // Activate
	done   *Reconfigured
	failed error
}

func begin(t *testing.T, change func(*Config)) *attempt {
	t.Helper()
	cfg := Config{
		PG: pg, Epoch: 1, Attempt: 7,
		Old: []vstack.StoreID{store(0), store(1), store(2)}, New: []vstack.StoreID{store(0), store(1), store(3)},
	}
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := &attempt{t: t, r: r}
	a.step(Start{})
	return a
}

func (a *attempt) step(e Event) {
	a.t.Helper()
	if (a.done != nil || a.failed != nil) != a.r.Done() {
		a.t.Fatalf("done is %v after %+v and %v", a.r.Done(), a.done, a.failed)
	}
	over := a.r.Done()
	actions := a.r.Step(e)
	if over && len(actions) > 0 {
		a.t.Fatalf("%+v after the end", actions)
	}
	for _, x := range actions {
		switch x := x.(type) {
		case Send:
			for _, y := range a.sent {
				if y.Call.To == x.Call.To && y.Call.Install == x.Call.Install {
					a.t.Fatalf("store %s is asked twice at once", x.Call.To)
				}
			}
			if !a.r.Done() && !a.r.Awaits(x.Call) {
				// A later action of the same step may have moved on.
				continue
			}
			a.sent = append(a.sent, x)
		case SetTimer:
			a.timers = append(a.timers, x)
		case Activate:
			a.asked++
		case Reconfigured:
			a.done = &x
		case Failed:
			a.failed = x.Err
		}
	}
}

// take is the message that store i has not answered yet.
func (a *attempt) take(i int) Send {
	a.t.Helper()
	for k, s := range a.sent {
		if s.Call.To == store(i) && a.r.Awaits(s.Call) {
			a.sent = append(a.sent[:k:k], a.sent[k+1:]...)
			return s
		}
	}
	a.t.Fatalf("nothing was sent to store %d; under way: %+v", i, a.sent)
	return Send{}
}

func (a *attempt) seal(i int, more bool, votes ...message.Vote) {
	a.t.Helper()
	s := a.take(i)
	if _, ok := s.Msg.(message.Seal); !ok {
		a.t.Fatalf("store %d was sent %+v, want a seal", i, s.Msg)
	}
	a.step(Answer{Call: s.Call, Reply: message.Sealed{Store: store(i), PG: pg, Epoch: 1, Votes: votes, More: more}})
}

func (a *attempt) install(i int) message.Install {
	a.t.Helper()
	s := a.take(i)
	m, ok := s.Msg.(message.Install)
	if !ok {
		a.t.Fatalf("store %d was sent %+v, want an install", i, s.Msg)
	}
	a.step(Answer{Call: s.Call, Reply: message.Installed{Store: store(i), PG: pg, Epoch: 2, Attempt: 7, Final: m.Final}})
	return m
}

func (a *attempt) refuse(i int, reason *vstack.Sentinel, e vstack.Epoch) {
	a.t.Helper()
	a.step(Answer{Call: a.take(i).Call, Reply: message.Nack{Store: store(i), Reason: reason, Epoch: e}})
}

func (a *attempt) lose(i int) {
	a.t.Helper()
	a.step(Unreachable{Call: a.take(i).Call, Err: vstack.ErrUnavailable})
}

// tick lets the timer that was set last run out.
func (a *attempt) tick() {
	a.t.Helper()
	if len(a.timers) == 0 {
		a.t.Fatal("no timer was set")
	}
	last := a.timers[len(a.timers)-1]
	a.timers = nil
	a.step(Timeout{Token: last.Token})
}

// sealed is an attempt whose old epoch is frozen, with these votes.
func sealed(t *testing.T, change func(*Config), votes ...message.Vote) *attempt {
	t.Helper()
	a := begin(t, change)
	a.seal(0, false, votes...)
	a.seal(1, false, votes...)
	return a
}

func TestAnEpochChangeSealsInstallsActivatesAndRepairs(t *testing.T) {
	at := slots(3)
	a := begin(t, nil)
	if len(a.sent) != 3 {
		t.Fatalf("%d seals, want one to each old acceptor", len(a.sent))
	}
	a.seal(2, false, vote(at[0], 1, 1), vote(at[2], 9, 3))
	a.seal(0, false, vote(at[0], 5, 2), vote(at[1], 4, 4))
	want := []message.Vote{vote(at[0], 5, 2), vote(at[1], 4, 4), vote(at[2], 9, 3)}
	if s := a.r.State(); s.Stage != Installing || !reflect.DeepEqual(s.Votes, want) {
		t.Fatalf("%s %+v, want the highest ballots of both: %+v", s.Stage, s.Votes, want)
	}
	for i, n := range []int{3, 0} {
		m := a.install(n)
		if !m.First || !m.Final || m.PG != pg || m.Epoch != 2 || m.Attempt != 7 || !reflect.DeepEqual(m.Votes, want) {
			t.Errorf("installs %+v", m)
		}
		if a.asked != i {
			t.Errorf("Raft was asked %d times after %d of 3 installs", a.asked, i+1)
		}
	}
	a.step(Activated{})
	if a.done != nil || a.r.State().Stage != Repairing {
		t.Fatalf("ended with one acceptor left: %+v", a.done)
	}
	a.install(1)
	if a.done == nil || len(a.done.Installed) != 3 || a.done.Votes != 3 || a.asked != 1 {
		t.Errorf("reconfigured %+v", a.done)
	}
	a.step(Activated{})
	a.step(Start{})
}

func TestAHigherEpochBeatsAHigherBallot(t *testing.T) {
	at := slots(1)[0]
	older, newer := vote(at, 9, 1), vote(at, 1, 2)
	newer.Epoch = 2
	for _, c := range [][2]message.Vote{{older, newer}, {newer, older}} {
		if got := merge(c[:1], c[1:]); len(got) != 1 || got[0] != newer {
			t.Errorf("merged %+v", got)
		}
	}
}

func TestOneSealIsNotEnough(t *testing.T) {
	a := begin(t, nil)
	a.seal(1, false)
	if s := a.r.State(); s.Stage != Sealing || !s.Peers[1].Complete {
		t.Fatalf("%+v after one seal of three", s)
	}
	a.refuse(0, vstack.ErrAmnesic, 1)
	if a.failed != nil {
		t.Fatal("failed with a majority left")
	}
	a.refuse(2, vstack.ErrNotAcceptor, 1)
	if !errors.Is(a.failed, vstack.ErrNoQuorum) || !errors.Is(a.failed, vstack.ErrAmnesic) || !errors.Is(a.failed, vstack.ErrNotAcceptor) {
		t.Errorf("failed with %v, want every reason", a.failed)
	}
}

func TestAnAmnesicAcceptorIsDoneWithout(t *testing.T) {
	a := begin(t, nil)
	a.refuse(0, vstack.ErrAmnesic, 1)
	a.seal(1, false, vote(slots(1)[0], 1, 1))
	a.seal(2, false)
	a.refuse(0, vstack.ErrAmnesic, 1) // it lost pages of this very install
	a.install(1)
	a.install(3)
	a.step(Activated{})
	if a.done == nil || len(a.done.Installed) != 2 || a.done.Votes != 1 {
		t.Errorf("reconfigured %+v, want it done by B and D", a.done)
	}
}

func TestWhatPassesIsAskedAgainAfterAPauseThatDoubles(t *testing.T) {
	a := begin(t, func(c *Config) { c.RetryMin, c.RetryMax = 10*time.Millisecond, 35*time.Millisecond })
	var pauses []time.Duration
	for _, reason := range []*vstack.Sentinel{vstack.ErrCatalogLagging, vstack.ErrUnavailable, vstack.ErrDiskFull, vstack.ErrEpochStale} {
		a.refuse(0, reason, 0) // an epoch older than the one that ends: it has not heard of it
		a.lose(1)              // shares the timer
		if len(a.timers) != 1 {
			t.Fatalf("%d timers after %s", len(a.timers), reason.Code())
		}
		pauses = append(pauses, a.timers[0].After)
		if a.step(Timeout{Token: a.timers[0].Token - 1}); len(a.sent) != 1 { // an older one, late
			t.Fatalf("a timer of before made %+v", a.sent)
		}
		a.tick()
	}
	want := []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 35 * time.Millisecond, 35 * time.Millisecond}
	if !reflect.DeepEqual(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
	a.seal(0, false)
	a.refuse(1, vstack.ErrEpochStale, 1) // of the very epoch that ends: no store is ahead
	a.step(Activated{})                  // of what nobody asked for
	a.tick()
	a.seal(1, false)
	if s := a.r.State(); s.Stage != Installing || s.Tries != 0 {
		t.Errorf("%+v, want the tries of the seals forgotten", s)
	}
}

func TestSilenceEndsTheAttemptAfterItsTries(t *testing.T) {
	a := begin(t, func(c *Config) { c.MaxTries = 3 })
	for range 3 {
		for i := range 3 {
			a.lose(i)
		}
		a.tick()
	}
	if !errors.Is(a.failed, vstack.ErrNoQuorum) || !strings.Contains(a.failed.Error(), "3 tries") {
		t.Errorf("failed with %v", a.failed)
	}
}

func TestALostAnswerCostsOneMoreMessage(t *testing.T) {
	at := slots(2)
	a := begin(t, func(c *Config) { c.Page = 1 })
	a.seal(0, true, vote(at[0], 1, 1))
	a.lose(0) // the answer with the second page
	a.seal(2, false)
	a.tick()
	s := a.take(0)
	if m := s.Msg.(message.Seal); m.After == nil || *m.After != at[0] || m.Limit != 1 {
		t.Fatalf("asks %+v, want the page after slot %s", m, at[0])
	}
	a.step(Answer{Call: Call{To: store(0), Page: 0}, Reply: message.Sealed{Store: store(0), PG: pg, Epoch: 1, Votes: []message.Vote{vote(at[0], 1, 1)}, More: true}}) // the first page again, late
	a.step(Answer{Call: s.Call, Reply: message.Sealed{Store: store(0), PG: pg, Epoch: 1, Votes: []message.Vote{vote(at[1], 1, 2)}}})
	if got := a.r.State(); got.Stage != Installing || len(got.Votes) != 2 {
		t.Fatalf("%+v, want both votes", got)
	}
}

func TestAnAcceptorThatLostThePagesStartsFromTheFirst(t *testing.T) {
	at := slots(3)
	a := sealed(t, func(c *Config) { c.Page = 2 }, vote(at[0], 1, 1), vote(at[1], 1, 2), vote(at[2], 1, 3))
	if m := a.install(0); !m.First || m.Final || len(m.Votes) != 2 {
		t.Fatalf("first page %+v", m)
	}
	a.refuse(0, vstack.ErrInvalid, 1) // "the first page is missing": it restarted
	a.tick()
	if m := a.install(0); !m.First {
		t.Fatalf("sent %+v, want the first page again", m)
	}
	if m := a.install(0); m.First || !m.Final || len(m.Votes) != 1 || m.Votes[0].Slot != at[2] {
		t.Fatalf("last page %+v", m)
	}
	a.refuse(1, vstack.ErrInvalid, 1) // of a first page it stands
	if s := a.r.State(); !s.Peers[1].Lost || s.Peers[0].Lost {
		t.Errorf("%+v", s.Peers)
	}
}

func TestPagesAreBoundedByTheBytesTheyName(t *testing.T) {
	at := slots(5)
	var votes []message.Vote
	for i, s := range at {
		v := vote(s, 1, byte(i))
		v.Value.Size = []uint32{100, 100, 500, 100, 100}[i]
		votes = append(votes, v)
	}
	a := sealed(t, func(c *Config) { c.PageBytes = 250 }, votes...)
	var sizes []int
	for {
		m := a.install(3)
		sizes = append(sizes, len(m.Votes))
		if m.Final {
			break
		}
	}
	if !reflect.DeepEqual(sizes, []int{2, 1, 2}) {
		t.Errorf("pages of %v votes", sizes)
	}
}

func TestAnOvertakenDriverGivesUp(t *testing.T) {
	t.Run("while it seals", func(t *testing.T) {
		a := begin(t, nil)
		a.refuse(0, vstack.ErrEpochStale, 2)
		a.refuse(1, vstack.ErrEpochStale, 2)
		if !errors.Is(a.failed, vstack.ErrEpochStale) {
			t.Errorf("failed with %v", a.failed)
		}
	})
	t.Run("while it installs, by a later attempt", func(t *testing.T) {
		a := sealed(t, nil)
		a.refuse(0, vstack.ErrEpochStale, 1)
		a.refuse(3, vstack.ErrEpochStale, 1)
		if !errors.Is(a.failed, vstack.ErrEpochStale) {
			t.Errorf("failed with %v", a.failed)
		}
	})
	t.Run("by Raft", func(t *testing.T) {
		a := sealed(t, nil)
		a.install(0)
		a.install(1)
		a.step(Activated{Err: vstack.ErrEpochStale})
		if !errors.Is(a.failed, vstack.ErrEpochStale) || !strings.Contains(a.failed.Error(), "activate") {
			t.Errorf("failed with %v", a.failed)
		}
		a.step(Activated{})
	})
}

func TestWhatOneSaysAfterTheMajorityDecidesNothing(t *testing.T) {
	a := sealed(t, nil)
	third := Call{To: store(2)}
	if a.r.Awaits(third) {
		t.Error("the third seal is awaited after a majority")
	}
	a.step(Answer{Call: third, Reply: message.Sealed{Store: store(2), PG: pg, Epoch: 1, Votes: []message.Vote{vote(slots(1)[0], 9, 9)}}})
	if n := len(a.r.State().Votes); n != 0 {
		t.Errorf("%d votes of an acceptor whose seal came too late", n)
	}
	a.install(0)
	a.install(1)
	a.refuse(3, vstack.ErrNotAcceptor, 1) // counted out, and Raft still decides
	if a.failed != nil {
		t.Fatalf("failed with %v although a majority has the install", a.failed)
	}
	a.step(Activated{})
	if a.done == nil || len(a.done.Installed) != 2 {
		t.Errorf("reconfigured %+v", a.done)
	}
}

func TestTheThirdIsRepairedAfterTheActivationUpToABound(t *testing.T) {
	t.Run("it comes back", func(t *testing.T) {
		a := sealed(t, nil)
		a.lose(3)
		a.install(0)
		a.install(1)
		a.step(Activated{})
		a.tick()
		a.install(3)
		if a.done == nil || len(a.done.Installed) != 3 {
			t.Errorf("reconfigured %+v", a.done)
		}
	})
	t.Run("it stays away", func(t *testing.T) {
		a := sealed(t, func(c *Config) { c.MaxTries = 2 })
		a.install(0)
		a.install(1)
		a.step(Activated{})
		for range 2 {
			a.lose(3)
			a.tick()
		}
		if a.done == nil || len(a.done.Installed) != 2 || a.failed != nil {
			t.Errorf("reconfigured %+v, %v", a.done, a.failed)
		}
	})
	t.Run("tries that end before Raft answers leave the verdict to Raft", func(t *testing.T) {
		a := sealed(t, func(c *Config) { c.MaxTries = 1 })
		a.install(0)
		a.install(1)
		a.lose(3)
		a.tick()
		if a.done != nil || a.failed != nil {
			t.Fatalf("ended without Raft: %+v, %v", a.done, a.failed)
		}
		a.step(Activated{})
		if a.done == nil {
			t.Error("not done")
		}
	})
}

func TestAnAnswerThatMakesNoSenseCountsItsStoreOut(t *testing.T) {
	at := slots(2)
	other := vstack.Slot{Video: at[0].Video, Seq: 1}
	for other.PG() == pg {
		other.Seq++
	}
	odd := func(change func(*message.Vote)) message.Vote {
		v := vote(at[1], 1, 1)
		change(&v)
		return v
	}
	good := message.Sealed{Store: store(0), PG: pg, Epoch: 1}
	with := func(change func(*message.Sealed)) message.Reply {
		m := good
		change(&m)
		return m
	}
	votes := func(vs ...message.Vote) message.Reply { return with(func(m *message.Sealed) { m.Votes = vs }) }
	for name, reply := range map[string]message.Reply{
		"another store's":        with(func(m *message.Sealed) { m.Store = store(1) }),
		"another group's":        with(func(m *message.Sealed) { m.PG++ }),
		"another epoch's":        with(func(m *message.Sealed) { m.Epoch++ }),
		"more, and nothing":      with(func(m *message.Sealed) { m.More = true }),
		"a slot twice":           votes(vote(at[0], 1, 1), vote(at[0], 1, 1)),
		"out of order":           votes(vote(at[1], 1, 1), vote(at[0], 1, 1)),
		"a slot of elsewhere":    votes(odd(func(v *message.Vote) { v.Slot = other })),
		"a vote of the future":   votes(odd(func(v *message.Vote) { v.Epoch = 2 })),
		"a vote without epoch":   votes(odd(func(v *message.Vote) { v.Epoch = 0 })),
		"a vote without ballot":  votes(odd(func(v *message.Vote) { v.Ballot = vstack.Ballot{} })),
		"a vote without a value": votes(odd(func(v *message.Vote) { v.Value = vstack.Value{} })),
		"a vote too large":       votes(odd(func(v *message.Vote) { v.Value.Size = vstack.MaxChunkSize + 1 })),
		"too many votes":         votes(vote(at[0], 1, 1), vote(at[1], 1, 1), vote(slots(3)[2], 1, 1)),
		"an install":             message.Installed{Store: store(0), PG: pg, Epoch: 1, Attempt: 7, Final: true},
		"nothing":                nil,
	} {
		t.Run(name, func(t *testing.T) {
			a := begin(t, func(c *Config) { c.MaxVotes = 2 })
			a.step(Answer{Call: a.take(0).Call, Reply: reply})
			s := a.r.State()
			if !s.Peers[0].Lost || !errors.Is(s.Peers[0].Err, vstack.ErrInvalid) || len(s.Votes) != 0 {
				t.Errorf("%+v", s.Peers[0])
			}
		})
	}
	for name, reply := range map[string]message.Reply{
		"another attempt's":            message.Installed{Store: store(0), PG: pg, Epoch: 2, Attempt: 6, Final: true},
		"the last page, not complete":  message.Installed{Store: store(0), PG: pg, Epoch: 2, Attempt: 7},
		"an installed that is another": message.Installed{Store: store(3), PG: pg, Epoch: 2, Attempt: 7, Final: true},
		"a seal":                       good,
	} {
		t.Run(name, func(t *testing.T) {
			a := sealed(t, nil)
			a.step(Answer{Call: a.take(0).Call, Reply: reply})
			if s := a.r.State(); !s.Peers[0].Lost || s.Peers[0].Complete {
				t.Errorf("%+v", s.Peers[0])
			}
		})
	}
}

// An acceptor that completed the attempt before its answer was lost says so at the
// first page that comes again.
func TestACompleteInstallIsTakenAtAnyPage(t *testing.T) {
	at := slots(2)
	a := sealed(t, func(c *Config) { c.Page = 1 }, vote(at[0], 1, 1), vote(at[1], 1, 2))
	a.step(Answer{Call: a.take(0).Call, Reply: message.Installed{Store: store(0), PG: pg, Epoch: 2, Attempt: 7, Final: true}})
	if s := a.r.State(); !s.Peers[0].Complete {
		t.Errorf("%+v", s.Peers[0])
	}
}

func TestACopyIsAnotherMachineInTheSameState(t *testing.T) {
	at := slots(5)
	a := begin(t, func(c *Config) { c.Page = 1 })
	for i := range 3 { // room for a fourth is left in the list
		a.seal(0, true, vote(at[i], 1, byte(i)))
	}
	b := *a.r
	answer := func(r *Reconfigurer, page int, more bool, votes ...message.Vote) {
		r.Step(Answer{Call: Call{To: store(0), Page: page}, Reply: message.Sealed{Store: store(0), PG: pg, Epoch: 1, Votes: votes, More: more}})
	}
	answer(a.r, 3, true, vote(at[3], 1, 2))
	answer(&b, 3, true, vote(at[4], 1, 3))
	answer(a.r, 4, false)
	answer(&b, 4, false)
	if x, y := a.r.State().Votes, b.State().Votes; len(x) != 4 || len(y) != 4 || x[3].Slot != at[3] || y[3].Slot != at[4] {
		t.Errorf("%+v and %+v", x, y)
	}
}

func TestAnAttemptThatCannotBeIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no old acceptors":   func(c *Config) { c.Old = nil },
		"too many":           func(c *Config) { c.New = []vstack.StoreID{store(1), store(2), store(3), store(4)} },
		"one of them twice":  func(c *Config) { c.New = []vstack.StoreID{store(1), store(2), store(1)} },
		"one of them nobody": func(c *Config) { c.Old = []vstack.StoreID{{}} },
		"no epoch":           func(c *Config) { c.Epoch = 0 },
		"no attempt":         func(c *Config) { c.Attempt = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{PG: pg, Epoch: 1, Attempt: 1, Old: []vstack.StoreID{store(0)}, New: []vstack.StoreID{store(1)}}
			change(&cfg)
			if _, err := New(cfg); !errors.Is(err, vstack.ErrInvalid) {
				t.Errorf("%v", err)
			}
		})
	}
}
