package uploader

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestToolsAreAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		missing := errors.New("no such program")
		answer := error(nil)
		c := &toolCheck{run: func(ctx context.Context) error {
			runs++
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return answer
		}}
		ask := func(want error, wantRuns int) {
			t.Helper()
			if err := c.ready(t.Context()); !errors.Is(err, want) || runs != wantRuns {
				t.Errorf("%v after %d runs, want %v after %d", err, runs, want, wantRuns)
			}
		}
		// One who has gone leaves no answer for others.
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.ready(gone); !errors.Is(err, context.Canceled) || runs != 1 {
			t.Errorf("%v after %d runs", err, runs)
		}
		ask(nil, 2)
		ask(nil, 2)
		time.Sleep(toolsFine)
		answer = missing
		ask(missing, 3)
		ask(missing, 3)
		time.Sleep(toolsMissing)
		answer = nil
		ask(nil, 4)
		time.Sleep(toolsFine - 1)
		ask(nil, 4)
	})
}
