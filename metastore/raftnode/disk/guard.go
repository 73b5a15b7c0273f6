package disk

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// Store is what bbolt gives Raft.
type Store interface {
	raft.LogStore
	raft.StableStore
}

// Guard bounds the time of writes and lets none pass after one went wrong. Reads come
// from the page cache and are not guarded.
type Guard struct {
	Store
	timeout time.Duration
	fatal   func(error)

	jobs chan job
	done chan struct{} // the worker has ended
	stop chan struct{} // ends the probe
	idle sync.WaitGroup

	probing atomic.Bool // this member leads

	mu     sync.Mutex
	broken error
	first  func() error // once, before the next write
	wrote  time.Time    // when the last write began

	took, longest atomic.Int64 // nanoseconds of the last write, and of any
	pace          pace
}

type job struct {
	write  func() error
	begun  *atomic.Bool
	result chan error // buffered: nobody may be waiting any more
}

// NewGuard starts a guard. With a probe, a log that was not written for so long gets a
// small write while this member leads; what a follower appends tries its disk.
func NewGuard(s Store, timeout, probe time.Duration, fatal func(error)) *Guard {
	g := &Guard{Store: s, timeout: timeout, fatal: fatal, jobs: make(chan job), done: make(chan struct{}), stop: make(chan struct{})}
	go g.work()
	if probe > 0 {
		g.idle.Add(1)
		go g.probe(probe)
	}
	return g
}

// OnFirst has f run once before the next write, which is refused if f errs.
func (g *Guard) OnFirst(f func() error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.first = f
}

// Lead says whether this member leads; a member of a simulation has no guard.
func (g *Guard) Lead(leads bool) {
	if g != nil {
		g.probing.Store(leads)
	}
}

// Last is how long the last write took.
func (g *Guard) Last() time.Duration { return time.Duration(g.took.Load()) }

// Longest is how long the longest write took.
func (g *Guard) Longest() time.Duration { return time.Duration(g.longest.Load()) }

// Pace is how the log was written lately.
func (g *Guard) Pace() Pace { return g.pace.read(time.Now()) }

// keyProbe holds how often an idle disk was tried.
const keyProbe = "VstackProbe"

// probe writes to a disk that nobody uses, so that one that hangs or errs is found while
// there is nothing to lose.
func (g *Guard) probe(every time.Duration) {
	defer g.idle.Done()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := uint64(1); ; n++ {
		select {
		case <-g.stop:
			return
		case <-tick.C:
		}
		if g.probing.Load() && g.quiet(every) && g.SetUint64([]byte(keyProbe), n) != nil {
			return // fatal was told
		}
	}
}

// quiet reports whether nothing was written for so long by a member that has begun to.
func (g *Guard) quiet(d time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.first == nil && !g.wrote.IsZero() && time.Since(g.wrote) >= d
}

// work runs the writes one by one, as Raft issues them.
func (g *Guard) work() {
	defer close(g.done)
	for j := range g.jobs {
		j.begun.Store(true)
		j.result <- j.write()
	}
}

// Close ends the worker; a write that hangs is waited for.
func (g *Guard) Close() {
	g.mu.Lock()
	if g.broken == nil {
		g.broken = fmt.Errorf("raft log: %w", vstack.ErrClosed)
	}
	close(g.jobs)
	g.mu.Unlock()
	close(g.stop)
	g.idle.Wait()
	<-g.done
}

func (g *Guard) do(what string, write func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock() // one write at a time; Raft's snapshot goroutine truncates the log
	if g.broken != nil {
		return g.broken
	}
	if g.first != nil {
		if err := g.first(); err != nil {
			return fmt.Errorf("raft log: before the first write: %w", err)
		}
		g.first = nil
	}
	j := job{write, new(atomic.Bool), make(chan error, 1)}
	g.wrote = time.Now()
	g.pace.begin(g.wrote)
	g.jobs <- j // the worker is idle: the last write has answered, or we are broken
	defer func() {
		now := time.Now()
		g.pace.end(now)
		took := int64(now.Sub(g.wrote))
		g.took.Store(took)
		g.longest.Store(max(took, g.longest.Load()))
	}()
	switch err, answered := g.await(j); {
	case !answered:
		g.broken = fmt.Errorf("raft log: %s: %w: the disk did not answer within %s", what, vstack.ErrTimeout, g.timeout)
	case err != nil:
		g.broken = fmt.Errorf("raft log: %s: %w", what, err)
	default:
		return nil
	}
	g.fatal(g.broken)
	return g.broken
}

// guardTicks is how many ticks the deadline of a write is made of.
const guardTicks = 20

// await waits for a write until the deadline, which it counts in ticks. A tick counts
// only if it came on time and the write had begun before: a process that stood still, as
// under SIGSTOP or in a stopped virtual machine, or that was given too little of the
// processors to even notice the time, would not have noticed the disk's answer either.
func (g *Guard) await(j job) (err error, answered bool) {
	step := g.timeout / guardTicks
	tick := time.NewTimer(step)
	defer tick.Stop()
	for counted := 0; counted < guardTicks; {
		began, begun := time.Now(), j.begun.Load()
		select {
		case err := <-j.result:
			return err, true
		case <-tick.C:
		}
		if begun && time.Since(began) <= step+step/2 {
			counted++
		}
		tick.Reset(step)
	}
	return nil, false
}

func (g *Guard) StoreLog(l *raft.Log) error {
	return g.do("store an entry", func() error { return g.Store.StoreLog(l) })
}

func (g *Guard) StoreLogs(ls []*raft.Log) error {
	return g.do("store entries", func() error { return g.Store.StoreLogs(ls) })
}

func (g *Guard) DeleteRange(first, last uint64) error {
	return g.do("delete entries", func() error { return g.Store.DeleteRange(first, last) })
}

func (g *Guard) Set(k, v []byte) error {
	return g.do("set "+string(k), func() error { return g.Store.Set(k, v) })
}

func (g *Guard) SetUint64(k []byte, v uint64) error {
	return g.do("set "+string(k), func() error { return g.Store.SetUint64(k, v) })
}
