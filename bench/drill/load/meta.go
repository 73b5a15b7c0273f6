package load

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/drill/linear"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// ledgerSize is how many registers the ledger has: two and a half seconds of writes.
	ledgerSize = 128
	// spares take the counter's place one after the other.
	spares     = 8
	writeEvery = 10 * time.Millisecond
	// writeTimeout is how long the client of one write goes on trying.
	writeTimeout = 30 * time.Second
	// maxWrites bounds the log of one repetition.
	maxWrites = 1 << 18
)

// Meta writes to the catalog all the time, and reads what it wrote.
type Meta struct {
	env Env

	mu      sync.Mutex
	counter *register
	spare   []*register    // take the counter's place when it goes out of use
	log     []report.Write // of the current repetition, in the order of acknowledgements
	took    time.Time      // when the fault of the current repetition was there; zero before
	checked bool           // the registers were read back since
	due     chan struct{}  // to read them back; has room for one

	ledger  []*register
	retired map[*register]bool // writer's; a write of theirs has an unknown outcome
	lap     int                // next register of the ledger
	n       uint64             // last number that was used

	contested []*register
	rivals    []*cluster.Cluster // one for each client that writes to them
	number    atomic.Uint64      // last number that a rival used
	all       []*register
	hist      *histories
}

// openMeta makes the registers and the clients. On an error nothing is left open.
func openMeta(ctx context.Context, env Env) (_ *Meta, err error) {
	m := &Meta{env: env, retired: map[*register]bool{}, due: make(chan struct{}, 1)}
	if m.all, err = makeRegisters(ctx, env, ledgerSize+contestedSize+1+spares); err != nil {
		return nil, err
	}
	rest := m.all
	take := func(n int) (out []*register) {
		out, rest = rest[:n], rest[n:]
		return out
	}
	m.ledger, m.contested, m.counter, m.spare = take(ledgerSize), take(contestedSize), take(1)[0], rest
	for i := range rivals {
		// Each prefers another member, so that forwarded writes compete with others.
		conf := *env.Client
		conf.Metastores = append(slices.Clone(env.Members[i%len(env.Members):]), env.Members[:i%len(env.Members)]...)
		c, err := cluster.Open(&conf, nil)
		if err != nil {
			m.closeClients()
			return nil, err
		}
		m.rivals = append(m.rivals, c)
	}
	m.hist = newHistories(env.Recorder)
	return m, nil
}

// makeRegisters aborts uploads: each leaves a video whose title can be changed and which
// nobody plays.
func makeRegisters(ctx context.Context, env Env, n int) ([]*register, error) {
	all := make([]*register, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range all {
		g.Go(func() error {
			up, err := env.Cluster.Meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: registerTitle(0), Owner: vstack.ProposerID(uuid.New())})
			if err != nil {
				return fmt.Errorf("make a register: %w", err)
			}
			env.Made.video(up.Video)
			all[i] = &register{video: up.Video}
			return env.Cluster.Meta.AbortUpload(ctx, up.ID, up.Incarnation)
		})
	}
	return all, g.Wait()
}

func (m *Meta) closeClients() {
	for _, c := range m.rivals {
		c.Close()
	}
}

// close has the last windows checked, and ends the clients. Nothing is under way.
func (m *Meta) close() {
	m.hist.gate.Lock()
	m.hist.cut(m.all, nil)
	m.hist.gate.Unlock()
	m.hist.close()
	m.closeClients()
}

// write runs the one writer until ctx ends.
func (m *Meta) write(ctx context.Context) error {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		if r := m.next(); r != nil {
			m.writeOne(ctx, r)
		}
		if m.readBackDue() {
			select {
			case m.due <- struct{}{}:
			default: // the last one is still under way
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// review reads back when the writer finds it due: the writer must not wait for that.
func (m *Meta) review(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.due:
			if err := m.readBack(ctx, "after the first write that followed the fault"); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// next takes the counter and the ledger in turn.
func (m *Meta) next() *register {
	m.n++
	if m.n%2 == 0 {
		return m.current()
	}
	r := m.ledger[m.lap%len(m.ledger)]
	m.lap++
	if m.retired[r] {
		return nil
	}
	return r
}

func (m *Meta) writeOne(ctx context.Context, r *register) {
	title := registerTitle(m.n)
	r.begin(m.n)
	call, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	begun := time.Now()
	err := m.hist.write(r, "writer", m.n, func() error {
		_, err := m.env.Cluster.Meta.PatchVideo(call, r.video, wire.VideoPatch{Title: &title})
		return err
	})
	acked := time.Now()
	switch {
	case err == nil:
		r.acknowledge(m.n)
		m.env.Add(report.Writes, 1)
		m.env.Observe(report.WriteLatency, acked.Sub(begun))
		m.mu.Lock()
		if len(m.log) < maxWrites {
			m.log = append(m.log, report.Write{Begun: begun, Acked: acked})
		}
		m.mu.Unlock()
	case ctx.Err() == nil:
		m.env.Fail(report.WriteFailed, "write %d, given up after %s: %v", m.n, report.Seconds(acked.Sub(begun).Seconds()), err)
		m.retire(r)
	}
}

// retire takes a register out of use whose last write may or may not happen.
func (m *Meta) retire(r *register) {
	m.retired[r] = true
	m.mu.Lock()
	defer m.mu.Unlock()
	if r == m.counter && len(m.spare) > 0 {
		m.counter, m.spare = m.spare[0], m.spare[1:]
	}
}

func (m *Meta) current() *register {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counter
}

// Begin opens the log of a repetition. What came just before the fault stays in it.
func (m *Meta) Begin(fault time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lead := fault.Add(-time.Duration(report.AckLead * float64(time.Second)))
	i := 0
	for i < len(m.log) && m.log[i].Acked.Before(lead) {
		i++
	}
	m.log = append([]report.Write(nil), m.log[i:]...)
	m.took, m.checked = time.Time{}, false
}

// Took tells when the fault is there: the first write that begins later and comes
// through is followed by a reading back. Of several the first counts.
func (m *Meta) Took(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.took.IsZero() {
		m.took = at
	}
}

// Take closes the log of a repetition and returns it.
func (m *Meta) Take() []report.Write {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.log
	m.log, m.took = nil, time.Time{}
	return out
}

// WroteSince reports whether a write that began after t was acknowledged.
func (m *Meta) WroteSince(t time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.log) == 0 {
		return false
	}
	_, ok := report.FirstBegun(m.log[max(0, len(m.log)-1):], t)
	return ok
}

// readBackDue is true once a fault, when the first write has come through after it.
func (m *Meta) readBackDue() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.took.IsZero() || m.checked || len(m.log) == 0 || m.log[len(m.log)-1].Begun.Before(m.took) {
		return false
	}
	m.checked = true
	return true
}

// readBack lists the registers linearizably, and compares each with what was
// acknowledged before the listing began.
func (m *Meta) readBack(ctx context.Context, when string) error {
	m.hist.gate.RLock()
	defer m.hist.gate.RUnlock()
	_, err := m.compare(ctx, when)
	return err
}

// Cut is readBack while nothing else is under way; it ends the window of every history.
func (m *Meta) Cut(ctx context.Context, when string) error {
	m.hist.gate.Lock()
	defer m.hist.gate.Unlock()
	held, err := m.compare(ctx, when)
	if err != nil {
		return err
	}
	m.hist.cut(m.all, held)
	return nil
}

// compare returns what the registers hold. Each is one read of its history.
func (m *Meta) compare(ctx context.Context, when string) (map[vstack.VideoID]uint64, error) {
	want := map[vstack.VideoID]uint64{}
	for _, r := range append([]*register{m.current()}, m.ledger...) {
		want[r.video] = r.acknowledged()
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	call := time.Since(m.hist.base)
	have, err := m.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the registers back %s: %w", when, err)
	}
	for id, n := range want {
		if got, ok := have[id]; !ok || got < n {
			m.env.Fail(report.LostWrites, "write %d of %s was acknowledged; %s it reads %d", n, id, when, got)
		}
	}
	back := time.Since(m.hist.base)
	for _, r := range m.all {
		if n, ok := have[r.video]; ok {
			r.record(linear.Op{Client: "list", Value: n, Call: call, Return: back})
		} else {
			m.env.Fail(report.LostWrites, "register %s is gone %s", r.video, when)
		}
	}
	return have, nil
}

// list asks the members in turn until one has listed every register.
func (m *Meta) list(ctx context.Context) (map[vstack.VideoID]uint64, error) {
	q := url.Values{"state": {string(vstack.VideoFailed)}, "limit": {"1000"}, "consistency": {"linearizable"}}
	have := map[vstack.VideoID]uint64{}
	var last error
	for i := 0; ctx.Err() == nil; i++ {
		var page wire.List[vstack.Video]
		ask, cancel := context.WithTimeout(ctx, time.Second)
		err := m.env.Cluster.Get(ask, m.env.Members[i%len(m.env.Members)], "/v1/videos?"+q.Encode(), &page)
		cancel()
		if err != nil {
			last = err
			if !sleep.For(ctx, writeEvery) {
				break
			}
			continue
		}
		for _, v := range page.Items {
			if n, err := parseTitle(v.Title); err == nil {
				have[v.ID] = n
			}
		}
		if page.Next == "" {
			return have, nil
		}
		q.Set("cursor", page.Next)
		i-- // the next page from the same member
	}
	return nil, errors.Join(last, context.Cause(ctx))
}
