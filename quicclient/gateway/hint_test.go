package gateway

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// TestAFilmSaysHowItLiesBeforeItsChunksAreFetched, and waits for that no longer than it is
// worth.
func TestAFilmSaysHowItLiesBeforeItsChunksAreFetched(t *testing.T) {
	m, c := filmOf(1000, 2000)
	var before int64 = -1
	c.hold = func(context.Context) error {
		before = c.hinted.Load()
		return nil
	}
	_, srv := serve(t, m, c, nil)
	if status, _, _ := get(t, fmt.Sprintf("%s/play/%s/1/2000.m4s", srv.URL, m.Video)); status != 200 || before != 1 {
		t.Errorf("status %d, %d hints before the first chunk", status, before)
	}
}

// leaderless is a catalog whose members have manifests and no leader.
type leaderless struct{ catalogOf }

func (leaderless) Video(ctx context.Context, _ vstack.VideoID) (vstack.Video, error) {
	<-ctx.Done()
	return vstack.Video{}, ctx.Err()
}

func TestAFilmPlaysWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := filmOf(1000)
		s := &filmStore{catalog: leaderless{catalogOf{m}}, chunks: c}
		began := time.Now()
		if _, err := s.load(t.Context(), m.Video); err != nil || time.Since(began) != hintWait || c.hinted.Load() != 0 {
			t.Errorf("after %v with %d hints: %v", time.Since(began), c.hinted.Load(), err)
		}
		time.Sleep(time.Minute) // of the bubble's clock: nothing is left behind
	})
}
