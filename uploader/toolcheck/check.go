package toolcheck

import (
	"context"
	"sync"
	"time"

	"github.com/vstack/vstack/uploader/ffmpeg"
)

const (
	// toolsFine and toolsMissing are how long an answer about FFmpeg is repeated: it
	// costs two processes, and readiness is asked for many times a second.
	toolsFine    = 10 * time.Second
	toolsMissing = time.Second
	// toolsSlow bounds how long the programs may take to say their version; a busy host
	// lets them wait for a while. An answer that was good stays so meanwhile.
	toolsSlow = time.Minute
)

// Check remembers for a while whether FFmpeg can be run.
type Check struct {
	run func(context.Context) error
	ctx context.Context // ends the programs; of the server
	wg  sync.WaitGroup

	mu      sync.Mutex
	at      time.Time // of the answer; zero: there is none
	err     error
	running chan struct{} // closed when the answer of the programs that run is there; nil: none run
}

// New makes a check whose programs end with ctx.
func New(ctx context.Context, t ffmpeg.Tools) *Check {
	return &Check{ctx: ctx, run: func(ctx context.Context) error {
		_, err := t.Check(ctx)
		return err
	}}
}

// Ready returns the last answer. One that is old is asked for anew; who asks waits for
// that only where there is no good one yet.
func (t *Check) Ready(ctx context.Context) error {
	t.mu.Lock()
	keep := toolsFine
	if t.err != nil {
		keep = toolsMissing
	}
	if !t.at.IsZero() && time.Since(t.at) < keep {
		defer t.mu.Unlock()
		return t.err
	}
	if t.running == nil {
		t.begin()
	}
	running, good := t.running, !t.at.IsZero() && t.err == nil
	t.mu.Unlock()
	if good {
		return nil
	}
	select {
	case <-running:
	case <-ctx.Done():
		return ctx.Err() // of who asked, not of the programs
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// begin runs the programs; t.mu is held.
func (t *Check) begin() {
	done := make(chan struct{})
	t.running = done
	t.wg.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(t.ctx, toolsSlow)
		defer cancel()
		err := t.run(ctx)
		t.mu.Lock()
		defer t.mu.Unlock()
		t.at, t.err, t.running = time.Now(), err, nil
	})
}

// Wait returns once no program runs; t.ctx has ended.
func (t *Check) Wait() { t.wg.Wait() }
