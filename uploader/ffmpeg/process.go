package ffmpeg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/arrive"
	"github.com/vstack/vstack/uploader/child"
	"github.com/vstack/vstack/uploader/jail"
	"github.com/vstack/vstack/uploader/said"
)

// DefaultStall is how long a child may write nothing, while somebody reads, before it
// counts as hung.
const DefaultStall = 2 * time.Minute

// niceness of the children: cutting video gives way to serving it.
const niceness = 10

// Progress is what ffmpeg last said of itself.
type Progress struct {
	Position float64 // seconds of media written
	Speed    float64 // media seconds a second
}

// Process is one running ffmpeg. Read every pipe until io.EOF, then Wait; or Kill.
type Process struct {
	pid      int
	cmd      *exec.Cmd
	bounds   jail.Bounds
	pipes    []*pipe
	file     string
	arriving *arrive.File // nil: the file is read where it lies
	stderr   *said.Tail
	cancel   context.CancelCauseFunc
	ctx      context.Context
	done     chan struct{}
	err      error // of the child, after done
	wg       sync.WaitGroup
	position atomic.Int64 // microseconds
	speed    atomic.Int64 // thousandths
}

// errWall is the cause when a child ran longer than its bounds allow.
var errWall = errors.New("ran too long")

// errHung is the cause when the watchdog ends a child.
var errHung = errors.New("no output for too long")

// Start runs plan on a local file. The process ends with ctx. stall is how long it may
// write nothing while all its readers wait; 0 is DefaultStall.
func (t Tools) Start(ctx context.Context, plan Plan, file string, stall time.Duration) (*Process, error) {
	args, err := plan.args(t, file)
	if err != nil {
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	return t.start(ctx, args, len(plan.Tracks), plan.Duration, file, stall)
}

// start runs ffmpeg with a progress pipe and as many outputs as args name, on seconds of media.
func (t Tools) start(ctx context.Context, args []string, outputs int, seconds float64, file string, stall time.Duration) (*Process, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	if stall == 0 {
		stall = DefaultStall
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p := &Process{file: abs, stderr: &said.Tail{Max: 8 << 10}, cancel: cancel, ctx: ctx, done: make(chan struct{}), bounds: t.bounds(seconds)}
	c, err := t.jailed(ctx, p.bounds, file, t.ffmpeg(), args...)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("start ffmpeg: %w: %w", vstack.ErrInternal, err)
	}
	c.Stderr, p.cmd = p.stderr, c
	progress, theirs, err := p.openPipes(outputs)
	var in *arrive.Pipe
	if err == nil && file == Arriving {
		if in, err = arrive.NewPipe(); err == nil {
			c.Stdin, p.arriving = in.End(), t.Arriving
		}
	}
	if err == nil {
		c.ExtraFiles = theirs
		started, done := child.Start(c, func() error { return t.Jail.Start(c, p.bounds) })
		err = <-started
		if err == nil {
			p.own(c.Process.Pid, progress, done, stall)
		}
	}
	for _, f := range theirs { // the child has its own copies; ours would hide its end
		f.Close()
	}
	if err != nil {
		cancel(nil)
		if in != nil {
			in.Close()
		}
		for _, x := range p.pipes {
			x.f.Close()
		}
		if progress != nil {
			progress.Close()
		}
		return nil, fmt.Errorf("start ffmpeg: %w: %w", vstack.ErrInternal, err)
	}
	if in != nil {
		p.wg.Go(func() {
			if err := in.Pass(ctx, t.Arriving); err != nil {
				p.cancel(err)
			}
		})
	}
	return p, nil
}

// openPipes makes the progress pipe and one pipe a track, and returns the child's ends.
func (p *Process) openPipes(tracks int) (progress *os.File, theirs []*os.File, err error) {
	for i := range tracks + 1 {
		r, w, err := os.Pipe()
		if err != nil {
			return progress, theirs, err
		}
		theirs = append(theirs, w)
		if i == 0 {
			progress = r
		} else {
			p.pipes = append(p.pipes, &pipe{f: r, p: p})
		}
	}
	return progress, theirs, nil
}

// own starts the three goroutines that live with the child; Wait waits for them.
func (p *Process) own(pid int, progress *os.File, done <-chan error, stall time.Duration) {
	p.pid = pid
	_ = unix.Setpriority(unix.PRIO_PGRP, pid, niceness) // only politeness: not worth failing for
	p.wg.Go(func() {
		p.err = <-done
		close(p.done)
	})
	p.wg.Go(func() {
		defer progress.Close()
		p.readProgress(progress)
	})
	p.wg.Go(func() { p.watch(stall) })
}

// Pipe is the stream of track i of the plan. Reading it is safe beside other pipes'.
func (p *Process) Pipe(i int) io.Reader { return p.pipes[i] }

// Progress returns what ffmpeg last reported.
func (p *Process) Progress() Progress {
	return Progress{Position: float64(p.position.Load()) / 1e6, Speed: float64(p.speed.Load()) / 1e3}
}

// Kill ends the child and its group; Wait then returns. cause may be nil.
func (p *Process) Kill(cause error) { p.cancel(cause) }

// Wait returns once the child is gone and every goroutine with it, and closes the
// pipes. The error is ErrTranscode with the end of what ffmpeg said, or the context's.
func (p *Process) Wait() error {
	<-p.done
	for _, x := range p.pipes {
		x.f.Close()
	}
	cause := context.Cause(p.ctx)
	p.cancel(nil)
	p.wg.Wait()
	var exit *exec.ExitError
	switch exceeded := p.bounds.Exceeded(p.cmd.ProcessState, p.stderr.Head()+p.Said()); {
	case p.err == nil:
		return nil
	case errors.Is(cause, errWall):
		return fmt.Errorf("ffmpeg: %w: it takes longer than %s", vstack.ErrMediaUnfit, p.bounds.Wall)
	case exceeded != nil && errors.As(p.err, &exit) && cause == nil:
		return fmt.Errorf("ffmpeg: %w", exceeded)
	case errors.As(p.err, &exit) && exit.Exited(): // by itself, whatever happened after
		said := p.stderr.Text(p.file)
		if said == "" {
			said = p.err.Error()
		}
		return fmt.Errorf("ffmpeg: %w: %s", vstack.ErrTranscode, said)
	case errors.Is(cause, errHung):
		return fmt.Errorf("ffmpeg: %w: %w", vstack.ErrTranscode, cause)
	case cause != nil:
		return fmt.Errorf("ffmpeg: %w", cause)
	case exit != nil:
		return fmt.Errorf("ffmpeg: %w: ended by a signal: %w", vstack.ErrTranscode, p.err)
	}
	return fmt.Errorf("ffmpeg: %w: %w", vstack.ErrInternal, p.err)
}

// Said is the end of ffmpeg's error output so far; it also complains when it goes on.
func (p *Process) Said() string { return p.stderr.Text(p.file) }

// readProgress reads key=value lines until the child closes its end.
func (p *Process) readProgress(r io.Reader) {
	s := bufio.NewScanner(r)
	for s.Scan() {
		key, value, _ := strings.Cut(s.Text(), "=")
		switch key {
		case "out_time_us":
			if us, err := strconv.ParseInt(value, 10, 64); err == nil {
				p.position.Store(max(0, us-Shift*1e6))
			}
		case "speed":
			if x, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(value, "x")), 64); err == nil && x >= 0 && x < 1e9 {
				p.speed.Store(int64(x * 1e3))
			}
		}
	}
}

// watch ends a child that hangs: one that writes nothing although every pipe that is
// still open has a reader waiting. A reader that is busy (back-pressure) is no reason.
func (p *Process) watch(stall time.Duration) {
	tick := time.NewTicker(max(stall/8, time.Millisecond))
	defer tick.Stop()
	idle, seen := time.Duration(0), int64(-1)
	last, began := time.Now(), time.Now()
	for {
		select {
		case <-p.done:
			return
		case <-p.ctx.Done():
			return
		case now := <-tick.C:
			moved, busy := int64(0), p.arriving != nil && p.arriving.Waiting()
			for _, x := range p.pipes {
				moved += x.bytes.Load()
				busy = busy || !x.waiting.Load() && !x.ended.Load()
			}
			if busy || moved != seen {
				idle, seen = 0, moved
			} else {
				idle += now.Sub(last)
			}
			last = now
			if now.Sub(began) >= p.bounds.Wall {
				p.cancel(errWall)
				return
			}
			if idle >= stall {
				p.cancel(fmt.Errorf("%w: %s", errHung, stall))
				return
			}
		}
	}
}

// pipe counts what is read, for the watchdog.
type pipe struct {
	f       *os.File
	p       *Process
	bytes   atomic.Int64
	waiting atomic.Bool
	ended   atomic.Bool
}

func (x *pipe) Read(b []byte) (int, error) {
	x.waiting.Store(true)
	n, err := x.f.Read(b)
	x.bytes.Add(int64(n))
	if err != nil {
		x.ended.Store(true)
		if errors.Is(err, os.ErrClosed) {
			err = fmt.Errorf("read ffmpeg's pipe: %w", vstack.ErrClosed)
		}
	}
	x.waiting.Store(false)
	return n, err
}
