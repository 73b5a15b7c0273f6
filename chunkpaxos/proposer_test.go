package chunkpaxos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// scripted plays acceptors by hand: it keeps what a proposer asked for.
type scripted struct {
	t      *testing.T
	p      *Proposer
	sends  []Send // since the last call of next
	timers []SetTimer
	end    Action
}

func script(t *testing.T, change func(*ProposerConfig)) *scripted {
	t.Helper()
	cfg := ProposerConfig{
		Slot: testSlot(1), Epoch: 1, Acceptors: testStores, Upload: testUpload(1), Value: testValue(1), Fast: true,
		Rand: rand.New(rand.NewPCG(1, 1)),
	}
	if change != nil {
		change(&cfg)
	}
	p, err := NewProposer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{t: t, p: p}
	s.step(Start{})
	return s
}

func (s *scripted) step(e Event) {
	s.t.Helper()
	for _, a := range s.p.Step(e) {
		switch a := a.(type) {
		case Send:
			s.sends = append(s.sends, a)
		case SetTimer:
			s.timers = append(s.timers, a)
		default:
			if s.end != nil {
				s.t.Fatalf("ended twice: %+v and %+v", s.end, a)
			}
			s.end = a
		}
	}
}

// phase returns the three messages of the phase that began, and forgets them.
func (s *scripted) phase(accept bool) []Send {
	s.t.Helper()
	if len(s.sends) != 3 || s.sends[0].Call.Accept != accept {
		s.t.Fatalf("sends %+v (end %+v), want three, accept %v", s.sends, s.end, accept)
	}
	out := s.sends
	s.sends = nil
	return out
}

func (s *scripted) ack(c Send) {
	m := c.Msg.(message.Accept)
	s.step(Answer{Call: c.Call, Reply: message.Accepted{Store: c.Call.To, LSN: 1, Slot: m.Slot, Ballot: m.Ballot, Value: m.Value}})
}

func (s *scripted) promise(c Send, accepted vstack.Ballot, v vstack.Value) {
	s.step(Answer{Call: c.Call, Reply: message.Promise{Store: c.Call.To, Slot: testSlot(1), Epoch: 1, Ballot: c.Call.Ballot, Accepted: accepted, Value: v}})
}

func (s *scripted) refuse(c Send, n message.Nack) {
	n.Store = c.Call.To
	s.step(Answer{Call: c.Call, Reply: n})
}

// fire lets the timer that counts run out.
func (s *scripted) fire() time.Duration {
	last := s.timers[len(s.timers)-1]
	s.step(Timeout{Token: last.Token})
	return last.After
}

func TestTheLastAcceptorIsAwaitedALittleAndRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		last func(*scripted, Send)
		acks int
	}{
		"it acknowledges":   {func(s *scripted, c Send) { s.ack(c) }, 3},
		"it refuses":        {func(s *scripted, c Send) { s.refuse(c, message.Nack{Reason: vstack.ErrDiskFull}) }, 2},
		"it is unreachable": {func(s *scripted, c Send) { s.step(Unreachable{Call: c.Call, Err: vstack.ErrUnavailable}) }, 2},
		"it is late":        {func(s *scripted, c Send) { s.fire() }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t, nil)
			put := s.phase(true)
			s.ack(put[2])
			s.ack(put[0])
			s.ack(put[0]) // the network says it twice
			if s.end != nil {
				t.Fatalf("ended before the last was awaited: %+v", s.end)
			}
			if after := s.timers[len(s.timers)-1].After; after != s.p.cfg.AwaitLast {
				t.Errorf("awaits the last for %s, want %s", after, s.p.cfg.AwaitLast)
			}
			c.last(s, put[1])
			end, ok := s.end.(Chosen)
			if !ok || len(end.Acks) != c.acks || end.Value != testValue(1) || !s.p.Done() {
				t.Errorf("ended with %+v, want %d acknowledgements", s.end, c.acks)
			}
		})
	}
}

func TestOneRefusalDoesNotEndTheFastPath(t *testing.T) {
	s := script(t, nil)
	put := s.phase(true)
	s.refuse(put[0], message.Nack{Reason: vstack.ErrDiskFull})
	s.ack(put[1])
	s.ack(put[2])
	if end, ok := s.end.(Chosen); !ok || len(end.Acks) != 2 {
		t.Errorf("ended with %+v", s.end)
	}
}

func TestAMixedFastPathTurnsClassicWithAFreshBallot(t *testing.T) {
	s := script(t, nil)
	put := s.phase(true)
	for _, c := range put {
		if !c.WithBytes || c.Call.Ballot != owner1 {
			t.Errorf("fast path sends %+v, want the bytes at round 0", c)
		}
	}
	s.ack(put[0])
	s.refuse(put[1], message.Nack{Reason: vstack.ErrBallotStale, Ballot: ballot(1, 7, 5)})
	s.refuse(put[2], message.Nack{Reason: vstack.ErrBallotStale, Ballot: ballot(1, 3, 5)})
	prep := s.phase(false)
	if b := prep[0].Call.Ballot; b != ballot(1, 8, 1) {
		t.Errorf("prepares %s, want a round above 7", b)
	}
	s.promise(prep[0], owner1, testValue(1))
	s.promise(prep[2], vstack.Ballot{}, vstack.Value{})
	acc := s.phase(true)
	if acc[0].WithBytes || !acc[1].WithBytes || !acc[2].WithBytes {
		t.Errorf("bytes go to %v %v %v, want only to stores without them", acc[0].WithBytes, acc[1].WithBytes, acc[2].WithBytes)
	}
	s.ack(put[1]) // late news of round 0 count for nothing here
	s.ack(acc[1])
	if s.end != nil || s.p.phase != accepting {
		t.Fatalf("one acknowledgement of the classic ballot ended it: %+v", s.end)
	}
	s.ack(acc[2])
	s.ack(acc[0])
	if end, ok := s.end.(Chosen); !ok || len(end.Acks) != 3 {
		t.Errorf("ended with %+v", s.end)
	}
}

func TestTheHighestAcceptedValueIsTakenOverAndReportedAsConflict(t *testing.T) {
	s := script(t, func(c *ProposerConfig) { c.Fast = false })
	prep := s.phase(false)
	s.promise(prep[0], ballot(1, 0, 1), testValue(1))
	s.promise(prep[1], ballot(1, 1, 0), testValue(2))
	acc := s.phase(true)
	for _, c := range acc {
		if m := c.Msg.(message.Accept); m.Value != testValue(2) || c.WithBytes {
			t.Errorf("sends %+v, want the higher ballot's value, without bytes", c)
		}
	}
	s.ack(acc[0])
	s.ack(acc[1])
	s.ack(acc[2])
	if end, ok := s.end.(Conflict); !ok || end.Value != testValue(2) || len(end.Acks) != 3 {
		t.Errorf("ended with %+v, want a conflict", s.end)
	}
}

func TestSilenceEndsAPhaseAndBackOffGrowsWithinBounds(t *testing.T) {
	s := script(t, func(c *ProposerConfig) {
		c.MaxAttempts, c.BackoffMin, c.BackoffMax = 6, 16*time.Millisecond, 100*time.Millisecond
	})
	seen := map[vstack.Ballot]bool{}
	for attempt := 1; ; attempt++ {
		b := s.phase(attempt == 1)[0].Call.Ballot
		if seen[b] {
			t.Fatalf("ballot %s was used twice", b)
		}
		seen[b] = true
		if d := s.fire(); d != s.p.cfg.PhaseTimeout {
			t.Fatalf("the phase's timer is %s", d)
		}
		want := min(16*time.Millisecond<<(attempt-1), 100*time.Millisecond)
		if d := s.fire(); d < want/2 || d > want {
			t.Errorf("attempt %d: back-off %s, want %s to %s", attempt, d, want/2, want)
		}
		if s.end != nil {
			break
		}
	}
	end, ok := s.end.(Failed)
	if !ok || !errors.Is(end.Err, vstack.ErrNoQuorum) || !errors.Is(end.Err, vstack.ErrTimeout) || len(seen) != 6 {
		t.Errorf("ended with %+v after %d attempts, want NO_QUORUM after 6", s.end, len(seen))
	}
}

func TestHopelessRefusalsEndTheProposal(t *testing.T) {
	for name, c := range map[string]struct {
		nack message.Nack
		want error // nil: tries again
	}{
		"fenced":            {message.Nack{Reason: vstack.ErrFenced}, vstack.ErrFenced},
		"upload ended":      {message.Nack{Reason: vstack.ErrUploadNotLive}, vstack.ErrUploadNotLive},
		"disk full":         {message.Nack{Reason: vstack.ErrDiskFull}, vstack.ErrDiskFull},
		"ballot reused":     {message.Nack{Reason: vstack.ErrBallotReused}, vstack.ErrBallotReused},
		"map too old":       {message.Nack{Reason: vstack.ErrEpochStale, Epoch: 2}, vstack.ErrEpochStale},
		"epoch sealed":      {message.Nack{Reason: vstack.ErrEpochStale, Epoch: 1}, vstack.ErrEpochStale},
		"acceptor lags":     {message.Nack{Reason: vstack.ErrEpochStale, Epoch: 0}, nil},
		"catalog lags":      {message.Nack{Reason: vstack.ErrCatalogLagging}, nil},
		"amnesic":           {message.Nack{Reason: vstack.ErrAmnesic}, nil},
		"busy":              {message.Nack{Reason: vstack.ErrUnavailable}, nil},
		"not owner":         {message.Nack{Reason: vstack.ErrNotOwner}, nil},
		"no reason at all":  {message.Nack{}, nil},
		"newer incarnation": {message.Nack{Reason: vstack.ErrBallotStale, Ballot: ballot(2, 0, 2)}, vstack.ErrFenced},
	} {
		t.Run(name, func(t *testing.T) {
			s := script(t, nil)
			put := s.phase(true)
			s.refuse(put[0], c.nack)
			s.step(Unreachable{Call: put[1].Call, Err: vstack.ErrUnavailable})
			if c.want == nil {
				s.phase(false)
				return
			}
			if end, ok := s.end.(Failed); !ok || !errors.Is(end.Err, c.want) {
				t.Errorf("ended with %+v, want %v", s.end, c.want)
			}
		})
	}
	t.Run("no certificate", func(t *testing.T) {
		s := script(t, nil)
		for _, c := range s.phase(true)[:2] {
			s.step(Unreachable{Call: c.Call, Err: fmt.Errorf("PUT: %w", vstack.ErrUnauthenticated)})
		}
		if end, ok := s.end.(Failed); !ok || !errors.Is(end.Err, vstack.ErrUnauthenticated) {
			t.Errorf("ended with %+v", s.end)
		}
	})
}

func TestABallotIsNeverReusedByTheNextProposer(t *testing.T) {
	first := script(t, nil)
	first.phase(true)
	first.fire()
	first.fire()
	used := first.phase(false)[0].Call.Ballot
	if first.p.Used() != used {
		t.Fatalf("used %s, says %s", used, first.p.Used())
	}
	next := script(t, func(c *ProposerConfig) { c.After, c.Value = used, testValue(2) })
	if b := next.phase(false)[0].Call.Ballot; !used.Less(b) {
		t.Errorf("after %s came %s", used, b)
	}
	again := script(t, func(c *ProposerConfig) { c.After, c.Value = owner1, testValue(2) })
	if b := again.phase(false)[0].Call.Ballot; b != ballot(1, 1, 1) {
		t.Errorf("round 0 was used before, and yet came %s", b)
	}
	newer := script(t, func(c *ProposerConfig) { c.After, c.Upload = used, testUpload(2) })
	if b := newer.phase(true)[0].Call.Ballot; b != ballot(2, 0, 2) {
		t.Errorf("a new incarnation has its own round 0, and yet came %s", b)
	}
}

func TestProposersThatCannotBeRightAreRefused(t *testing.T) {
	for name, change := range map[string]func(*ProposerConfig){
		"no acceptors":          func(c *ProposerConfig) { c.Acceptors = nil },
		"too many acceptors":    func(c *ProposerConfig) { c.Acceptors = append(testStores, store(3)) },
		"no random source":      func(c *ProposerConfig) { c.Rand = nil },
		"no upload":             func(c *ProposerConfig) { c.Upload = vstack.Upload{} },
		"another video":         func(c *ProposerConfig) { c.Slot.Video = vstack.VideoID(id(9)) },
		"empty value":           func(c *ProposerConfig) { c.Value = vstack.Value{} },
		"oversize value":        func(c *ProposerConfig) { c.Value.Size = vstack.MaxChunkSize + 1 },
		"fast, but not owner":   func(c *ProposerConfig) { c.Proposer = vstack.ProposerID(id(9)) },
		"incarnation 0 is none": func(c *ProposerConfig) { c.Upload.Incarnation = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := ProposerConfig{
				Slot: testSlot(1), Epoch: 1, Acceptors: testStores, Upload: testUpload(1), Value: testValue(1), Fast: true,
				Rand: rand.New(rand.NewPCG(1, 1)),
			}
			change(&cfg)
			if _, err := NewProposer(cfg); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := NewAcceptor(AcceptorConfig{}); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("an acceptor without a store: %v", err)
	}
}
