package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/vstack/vstack/internal/vstack"
)

// Lab is a cluster directory and, once started, its processes.
type Lab struct {
	Dir    string  // absolute
	Client string  // directory of the client bundle
	Hosts  []*Host // in order of their directories' names
	// Env is added to the hosts' environment; set it before Start.
	Env []string
	// OnWait, when set before Start, is told what readiness is waiting for, whenever
	// that changes.
	OnWait func(string)

	lock *os.File // flock on DIR/lock while processes may run
}

// Start takes the lab's lock, starts every host as `exe server --config …` and waits
// until all of them serve, every store is registered and placement is assigned. On an
// error nothing is left running.
func (l *Lab) Start(ctx context.Context, exe string) error {
	if err := l.acquire(); err != nil {
		return err
	}
	for _, h := range l.Hosts {
		if err := h.start(exe, l.Env); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	if err := l.Ready(ctx); err != nil {
		return errors.Join(err, l.Close())
	}
	return nil
}

// Host returns the host with an id, or nil.
func (l *Lab) Host(id vstack.HostID) *Host {
	for _, h := range l.Hosts {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// Close stops every host in order and gives up the lock. It may be called again.
func (l *Lab) Close() error {
	var wg sync.WaitGroup
	errs := make([]error, len(l.Hosts))
	for i, h := range l.Hosts {
		wg.Go(func() { errs[i] = h.Stop() })
	}
	wg.Wait()
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
		l.lock = nil
	}
	return errors.Join(errs...)
}

// acquire refuses a second set of processes on the same directories.
func (l *Lab) acquire() error {
	if l.lock != nil {
		return nil
	}
	path := filepath.Join(l.Dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("lock lab: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("lock lab %s: %w: another process runs it", l.Dir, vstack.ErrUnavailable), f.Close())
	}
	l.lock = f
	return nil
}
