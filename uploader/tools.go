package uploader

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
)

// toolCheck remembers for a while whether FFmpeg can be run.
type toolCheck struct {
	run func(context.Context) error

	mu  sync.Mutex // held while the programs run: who asks meanwhile wants that answer
	at  time.Time  // of the answer; zero: there is none
	err error
}

func newToolCheck(t ffmpeg.Tools) *toolCheck {
	return &toolCheck{run: func(ctx context.Context) error {
		_, err := t.Check(ctx)
		return err
	}}
}

func (t *toolCheck) ready(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	keep := toolsFine
	if t.err != nil {
		keep = toolsMissing
	}
	if !t.at.IsZero() && time.Since(t.at) < keep {
		return t.err
	}
	err := t.run(ctx)
	if ctx.Err() != nil {
		return err // of who asked, not of the programs
	}
	t.at, t.err = time.Now(), err
	return err
}
