package raftnode

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// LogStable is what bbolt gives Raft.
type LogStable interface {
	raft.LogStore
	raft.StableStore
}

// guard bounds the time of writes and lets none pass after one went wrong. Reads come
// from the page cache and are not guarded.
type guard struct {
	LogStable
	timeout time.Duration
	fatal   func(error)

	jobs chan job
	done chan struct{} // the worker has ended

	mu     sync.Mutex
	broken error
}

type job struct {
	write  func() error
	result chan error // buffered: nobody may be waiting any more
}

func newGuard(s LogStable, timeout time.Duration, fatal func(error)) *guard {
	g := &guard{LogStable: s, timeout: timeout, fatal: fatal, jobs: make(chan job), done: make(chan struct{})}
	go g.work()
	return g
}

// work runs the writes one by one, as Raft issues them.
func (g *guard) work() {
	defer close(g.done)
	for j := range g.jobs {
		j.result <- j.write()
	}
}

// close ends the worker; a write that hangs is waited for.
func (g *guard) close() {
	g.mu.Lock()
	if g.broken == nil {
		g.broken = fmt.Errorf("raft log: %w", vstack.ErrClosed)
	}
	close(g.jobs)
	g.mu.Unlock()
	<-g.done
}

func (g *guard) do(what string, write func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock() // one write at a time; Raft's snapshot goroutine truncates the log
	if g.broken != nil {
		return g.broken
	}
	timer := time.NewTimer(g.timeout)
	defer timer.Stop()
	j := job{write, make(chan error, 1)}
	g.jobs <- j // the worker is idle: the last write has answered, or we are broken
	select {
	case err := <-j.result:
		if err == nil {
			return nil
		}
		g.broken = fmt.Errorf("raft log: %s: %w", what, err)
	case <-timer.C:
		g.broken = fmt.Errorf("raft log: %s: %w: the disk did not answer within %s", what, vstack.ErrTimeout, g.timeout)
	}
	g.fatal(g.broken)
	return g.broken
}

func (g *guard) StoreLog(l *raft.Log) error {
	return g.do("store an entry", func() error { return g.LogStable.StoreLog(l) })
}

func (g *guard) StoreLogs(ls []*raft.Log) error {
	return g.do("store entries", func() error { return g.LogStable.StoreLogs(ls) })
}

func (g *guard) DeleteRange(first, last uint64) error {
	return g.do("delete entries", func() error { return g.LogStable.DeleteRange(first, last) })
}

func (g *guard) Set(k, v []byte) error {
	return g.do("set "+string(k), func() error { return g.LogStable.Set(k, v) })
}

func (g *guard) SetUint64(k []byte, v uint64) error {
	return g.do("set "+string(k), func() error { return g.LogStable.SetUint64(k, v) })
}
