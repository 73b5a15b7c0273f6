package admission

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatStandsStillGivesWay(t *testing.T) {
	for name, tc := range map[string]struct {
		lent   int64 // of 80
		others bool
		moves  time.Duration // how often there is progress; 0: never
		want   time.Duration // when it ends; 0: within a minute it does not
	}{
		"nobody waits": {70, false, 0, Patience},
		"others wait, and it has more than a share": {70, true, 0, yieldOver},
		"others wait, and it has its share":         {10, true, 0, yieldWithin},
		"it moves, slowly":                          {70, true, yieldOver / 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget("bytes", 80)
				if err := b.Acquire(t.Context(), "a", tc.lent); err != nil {
					t.Fatal(err)
				}
				if tc.others {
					if err := b.Acquire(t.Context(), "b", 80-tc.lent); err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					go func() { _ = b.Acquire(ctx, "c", 10) }()
				}
				synctest.Wait()
				began := time.Now()
				ended := make(chan time.Duration, 1)
				w := b.Watch("a", func() { ended <- time.Since(began) })
				var got time.Duration
				for time.Since(began) < time.Minute {
					step := time.Minute
					if tc.moves > 0 {
						step = tc.moves
					}
					select {
					case got = <-ended:
					case <-time.After(step):
						w.Moved()
						continue
					}
					break
				}
				w.Stop()
				if got < tc.want || got > tc.want+time.Second || tc.want == 0 && got != 0 {
					t.Errorf("ended after %v, want %v", got, tc.want)
				}
			})
		})
	}
}

func TestAStoppedWatchEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewBudget("bytes", 8).Watch("a", func() { t.Error("ended") })
		time.Sleep(Patience - time.Second)
		w.Stop()
		time.Sleep(time.Hour)
	})
}

func TestStopWaitsForTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended bool
		w := NewBudget("bytes", 8).Watch("a", func() { time.Sleep(time.Second); ended = true })
		time.Sleep(Patience + time.Second/2) // of the bubble's clock: in the midst of it
		w.Stop()
		if !ended {
			t.Error("what is used for something else now is still being ended")
		}
	})
}
