package body

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// held answers every fetch with the same bytes once hold returns.
type held struct {
	fetches atomic.Int64
	hold    func(context.Context) error
}

func (h *held) Fetch(ctx context.Context, _ vstack.Slot, _ vstack.ChunkRef) (quicclient.Fetched, error) {
	h.fetches.Add(1)
	return quicclient.Fetched{Data: []byte("chunk")}, h.hold(ctx)
}

var (
	slot = vstack.Slot{Video: vstack.VideoID{1}, Track: 1, Seq: 1}
	ref  = vstack.ChunkRef{Seq: 1, ID: vstack.ChunkIDOf([]byte("chunk")), Size: 5}
)

func open(t *testing.T, from Fetcher) *Store {
	t.Helper()
	s, err := New(Config{From: from, CacheBytes: 1 << 20, LoadingBytes: 1 << 20, Private: func(vstack.VideoID) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestManyViewersShareOneFetch(t *testing.T) {
	release := make(chan struct{})
	from := &held{hold: func(ctx context.Context) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	s := open(t, from)
	const viewers = 50
	var wg sync.WaitGroup
	for range viewers {
		wg.Go(func() {
			if b, err := s.Get(t.Context(), slot, ref); err != nil || string(b) != "chunk" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
	joined := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := 0
		for _, f := range s.flights {
			n += f.waiting
		}
		return n
	}
	for deadline := time.Now().Add(time.Minute); joined() < viewers; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d viewers wait", joined(), viewers)
		}
	}
	close(release)
	wg.Wait()
	if n := from.fetches.Load(); n != 1 {
		t.Errorf("%d fetches for %d viewers of one chunk", n, viewers)
	}
}

func TestAFetchThatNobodyWaitsForEnds(t *testing.T) {
	ended := make(chan struct{})
	from := &held{hold: func(ctx context.Context) error {
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	s := open(t, from)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := s.Get(ctx, slot, ref)
		failed <- err
	}()
	for deadline := time.Now().Add(time.Minute); from.fetches.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was fetched")
		}
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the viewer got %v", err)
	}
	<-ended
}
