package disk

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) {
	if os.Getenv(stoppedEnv) != "" {
		os.Exit(runStopped())
	}
	if os.Getenv(starvedEnv) != "" {
		os.Exit(runStarved())
	}
	goleak.VerifyTestMain(m)
}

// slowStore is an in-memory store whose writes can be held or made to err, and that
// counts them.
type slowStore struct {
	*raft.InmemStore
	mu     sync.Mutex
	hold   chan struct{} // writes wait for it when set
	err    error
	writes int
}

func newSlowStore() *slowStore { return &slowStore{InmemStore: raft.NewInmemStore()} }

func (s *slowStore) write(f func() error) error {
	s.mu.Lock()
	hold, err := s.hold, s.err
	s.writes++
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if err != nil {
		return err
	}
	return f()
}

func (s *slowStore) StoreLogs(l []*raft.Log) error {
	return s.write(func() error { return s.InmemStore.StoreLogs(l) })
}
func (s *slowStore) StoreLog(l *raft.Log) error {
	return s.write(func() error { return s.InmemStore.StoreLog(l) })
}
func (s *slowStore) Set(k, v []byte) error {
	return s.write(func() error { return s.InmemStore.Set(k, v) })
}
func (s *slowStore) SetUint64(k []byte, v uint64) error {
	return s.write(func() error { return s.InmemStore.SetUint64(k, v) })
}

func TestGuardEndsTheMemberWhoseDiskHangs(t *testing.T) {
	s := newSlowStore()
	fatal := make(chan error, 4)
	g := NewGuard(s, 20*time.Millisecond, 0, func(err error) { fatal <- err })
	if err := g.StoreLogs([]*raft.Log{{Index: 1}}); err != nil {
		t.Fatal(err)
	}
	s.hold = make(chan struct{})
	start := time.Now()
	if err := g.StoreLogs([]*raft.Log{{Index: 2}}); !errors.Is(err, vstack.ErrTimeout) {
		t.Fatalf("a write that hangs: %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Fatalf("took %s", d)
	}
	if err := <-fatal; !errors.Is(err, vstack.ErrTimeout) {
		t.Fatalf("told %v", err)
	}
	close(s.hold)
	if err := g.StoreLogs([]*raft.Log{{Index: 3}}); err == nil {
		t.Fatal("a write is accepted after one of unknown outcome")
	}
	g.Close()
	if len(fatal) != 0 {
		t.Error("told twice")
	}
}

func TestGuardEndsTheMemberWhoseWriteFails(t *testing.T) {
	s := newSlowStore()
	s.err = errors.New("input/output error")
	fatal := make(chan error, 4)
	g := NewGuard(s, time.Second, 0, func(err error) { fatal <- err })
	defer g.Close()
	if err := g.SetUint64([]byte("CurrentTerm"), 3); !errors.Is(err, s.err) {
		t.Fatalf("answered %v", err)
	}
	<-fatal
	s.err = nil
	if err := g.StoreLog(&raft.Log{Index: 1}); err == nil {
		t.Fatal("a write is retried after an error: what the kernel did with the pages is unknown")
	}
}

func TestAVoteIsOneWrite(t *testing.T) {
	s := newSlowStore()
	v := &Votes{StableStore: s}
	if _, err := v.GetUint64([]byte(KeyVoteTerm)); err == nil || err.Error() != "not found" {
		t.Fatalf("before any vote: %v, want the store's own not found", err)
	}
	cast := func(term uint64, cand string) error {
		if err := v.SetUint64([]byte(KeyVoteTerm), term); err != nil {
			return err
		}
		return v.Set([]byte(KeyVoteCand), []byte(cand))
	}
	if err := cast(4, "h1"); err != nil {
		t.Fatal(err)
	}
	if s.writes != 1 {
		t.Fatalf("a vote took %d writes", s.writes)
	}
	// A crash between the two steps of the library leaves the vote before.
	if err := v.SetUint64([]byte(KeyVoteTerm), 5); err != nil {
		t.Fatal(err)
	}
	again := &Votes{StableStore: s}
	term, err := again.GetUint64([]byte(KeyVoteTerm))
	cand, err2 := again.Get([]byte(KeyVoteCand))
	if err != nil || err2 != nil || term != 4 || string(cand) != "h1" {
		t.Fatalf("after a crash: term %d for %q, %v %v", term, cand, err, err2)
	}
	s.err = errors.New("disk full")
	if err := cast(6, "h2"); err == nil {
		t.Fatal("a vote that is not durable is cast")
	}
	s.err = nil
	if term, _ := v.GetUint64([]byte(KeyVoteTerm)); term != 4 {
		t.Fatalf("the vote that was not cast reads as term %d", term)
	}
	if err := v.Set([]byte(KeyVoteCand), []byte("h3")); !errors.Is(err, vstack.ErrInternal) {
		t.Fatalf("a candidate without a term: %v", err)
	}
	if err := v.SetUint64([]byte("CurrentTerm"), 9); err != nil {
		t.Fatal(err)
	}
	if got, _ := v.GetUint64([]byte("CurrentTerm")); got != 9 {
		t.Fatalf("other keys pass through: %d", got)
	}
}
