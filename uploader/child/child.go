package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// killGrace is how long a killed child's pipes are awaited.
const killGrace = 2 * time.Second

// Command prepares a program to be started by Run or Start.
func Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return Own(exec.CommandContext(ctx, name, args...))
}

// Own puts a command into a process group of its own that dies with its parent's thread
// (start it through Run, RunBy or Start) and with its context.
func Own(c *exec.Cmd) *exec.Cmd {
	c.SysProcAttr = attributes()
	c.Cancel = func() error { return killGroup(c.Process) }
	c.WaitDelay = killGrace
	// FFmpeg reads presets and reports from the environment; a locale changes numbers.
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent"}
	return c
}

func killGroup(p *os.Process) error {
	if p == nil {
		return nil
	}
	if err := unix.Kill(-p.Pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.Pid, err)
	}
	return nil
}

// Run runs a child to its end.
func Run(c *exec.Cmd) error { return RunBy(c, c.Start) }

// RunBy runs a child that start starts to its end.
func RunBy(c *exec.Cmd, start func() error) error {
	started, done := Start(c, start)
	if err := <-started; err != nil {
		return err
	}
	return <-done
}

// Start has start start the child on a pinned thread, and waits for it there: Linux sends
// Pdeathsig when the thread that forked exits. started yields the outcome of the start
// once; done yields Wait's, only after a good start.
func Start(c *exec.Cmd, start func() error) (started, done chan error) {
	started, done = make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := start(); err != nil {
			started <- err
			return
		}
		started <- nil
		done <- c.Wait()
	}()
	return started, done
}
