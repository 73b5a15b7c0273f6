package vote

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/datanode/serve"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/feed"
	"github.com/vstack/vstack/internal/vstack"
)

// gatedLog holds appends of one kind back, or refuses them, and keeps the order of kinds.
type gatedLog struct {
	*superblock.Store
	open chan struct{} // closed: appends of KindAmnesia go on

	mu    sync.Mutex
	full  int // how many of those the disk refuses first
	kinds []superblock.Kind
}

func (l *gatedLog) Append(ctx context.Context, recs ...superblock.Record) (vstack.LSN, error) {
	return l.AppendAbove(ctx, 0, recs...)
}

func (l *gatedLog) AppendAbove(ctx context.Context, above vstack.LSN, recs ...superblock.Record) (vstack.LSN, error) {
	if recs[0].Kind == superblock.KindAmnesia {
		<-l.open
		l.mu.Lock()
		refused := l.full > 0
		l.full--
		l.mu.Unlock()
		if refused {
			return 0, vstack.ErrDiskFull
		}
	}
	lsn, err := l.Store.AppendAbove(ctx, above, recs...)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range recs {
		l.kinds = append(l.kinds, r.Kind)
	}
	return lsn, err
}

func (l *gatedLog) written() []superblock.Kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]superblock.Kind(nil), l.kinds...)
}

// rolledBack is a store that recovered less than the catalog remembers, before its first
// echo.
func rolledBack(t *testing.T, full int) (*Voter, *gatedLog, vstack.Upload, func()) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	disk, err := superblock.Open(t.Context(), superblock.Config{Dir: t.TempDir(), SuperblockSize: 16 << 20, Logger: logger, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	log := &gatedLog{Store: disk, open: make(chan struct{}), full: full}
	none := func(context.Context, vstack.Slot, vstack.Value) ([]byte, error) { return nil, errors.New("no peer") }
	v, err := New(Config{Log: log, Fetch: none, Buffers: serve.NewBuffers(1), Logger: logger, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = v.Run(ctx) }()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	u := vstack.Upload{ID: vstack.UploadID{1}, Video: vstack.VideoID{2}, Owner: vstack.ProposerID{3}, State: vstack.UploadOpen, Incarnation: 1, Index: 1}
	p := &vstack.PlacementMap{Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
	for i := range p.Groups {
		p.Groups[i] = vstack.PGTargets{Epoch: 1, Targets: []vstack.StoreID{disk.ID()}}
	}
	v.Apply(feed.Page{Index: 1, Uploads: []vstack.Upload{u}, Placement: p})
	return v, log, u, stop
}

// raise is a message that every store answers with a durable record, whatever it forgot.
func raise(u vstack.Upload, round uint32) message.PrepareUpload {
	return message.PrepareUpload{Upload: u.ID, UploadIndex: u.Index, Ballot: vstack.Ballot{Incarnation: u.Incarnation, Round: round, Proposer: u.Owner}}
}

func TestNothingIsAppendedBeforeTheLossIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, log, u, stop := rolledBack(t, 0)
		defer stop()
		if v.Settled() {
			t.Fatal("settled before the first echo")
		}
		v.Echo(5, 1)
		answer := make(chan message.Reply, 1)
		go func() {
			r, err := v.Do(context.Background(), raise(u, 1), nil, 0)
			if err != nil {
				t.Error(err)
			}
			answer <- r
		}()
		synctest.Wait()
		if w := log.written(); len(w) != 0 || v.Settled() {
			t.Fatalf("kinds %v were written before the loss was noted", w)
		}
		close(log.open)
		if r, ok := (<-answer).(message.UploadPromise); !ok {
			t.Errorf("answer %+v", r)
		}
		w := log.written()
		if len(w) != vstack.PlacementGroups+1 || w[0] != superblock.KindAmnesia || w[len(w)-1] != superblock.KindMinimum || !v.Settled() {
			t.Errorf("written: %v", w)
		}
	})
}

func TestALossThatTheDiskDoesNotTakeIsNotedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, log, u, stop := rolledBack(t, 1)
		defer stop()
		close(log.open)
		v.Echo(5, 1)
		r, err := v.Do(t.Context(), raise(u, 1), nil, 0)
		if n, ok := r.(message.Nack); err != nil || !ok || n.Reason != vstack.ErrDiskFull || v.Settled() || len(log.written()) != 0 {
			t.Fatalf("answer %+v, %v; written %v", r, err, log.written())
		}
		v.Echo(5, 1) // the next heartbeat
		synctest.Wait()
		if err := v.Settle(t.Context()); err != nil || !v.Settled() {
			t.Fatal(err)
		}
		if r, err := v.Do(t.Context(), raise(u, 2), nil, 0); err != nil {
			t.Fatal(err)
		} else if _, ok := r.(message.UploadPromise); !ok {
			t.Errorf("answer %+v", r)
		}
	})
}

func TestWaitingForTheEchoEndsWithTheVoter(t *testing.T) {
	v, _, _, stop := rolledBack(t, 0)
	stop()
	if err := v.Settle(t.Context()); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("%v, want %v", err, vstack.ErrClosed)
	}
}
