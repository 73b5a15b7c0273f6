package toolcheck

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// programs is a Check whose programs answer as a test says.
func programs(t *testing.T, answer func() error) (*Check, *atomic.Int64) {
	runs := new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	c := &Check{ctx: ctx, run: func(context.Context) error {
		runs.Add(1)
		return answer()
	}}
	t.Cleanup(func() { cancel(); c.Wait() })
	return c, runs
}

func TestToolsAreAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := errors.New("no such program")
		answer := error(nil)
		c, runs := programs(t, func() error { return answer })
		ask := func(want error, wantRuns int64) {
			t.Helper()
			err := c.Ready(t.Context())
			synctest.Wait() // an answer that is old is given while a new one is fetched
			if !errors.Is(err, want) || runs.Load() != wantRuns {
				t.Errorf("%v after %d runs, want %v after %d", err, runs.Load(), want, wantRuns)
			}
		}
		ask(nil, 1)
		ask(nil, 1)
		time.Sleep(toolsFine)
		answer = missing
		ask(nil, 2)
		ask(missing, 2)
		time.Sleep(toolsMissing)
		answer = nil
		ask(nil, 3)
		time.Sleep(toolsFine - 1)
		ask(nil, 3)
	})
}

func TestSlowToolsDoNotCostReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := time.Duration(0)
		c, runs := programs(t, func() error { time.Sleep(slow); return nil })
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow = 30 * time.Second
		time.Sleep(toolsFine)
		for range 100 {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := c.Ready(ctx); err != nil || time.Since(began) != 0 {
				t.Fatalf("%v after %s", err, time.Since(began))
			}
			cancel()
			time.Sleep(100 * time.Millisecond)
		}
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs, want the second still under way", n)
		}
	})
}

func TestWhoGivesUpLeavesNoAnswerForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, runs := programs(t, func() error { time.Sleep(5 * time.Second); return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("gave up with %v", err)
		}
		if err := c.Ready(t.Context()); err != nil || runs.Load() != 1 {
			t.Errorf("%v after %d runs", err, runs.Load())
		}
	})
}
