package load

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// ledgerSize is how many registers the ledger has: two and a half seconds of writes.
	ledgerSize = 128
	writeEvery = 10 * time.Millisecond
	readEvery  = 25 * time.Millisecond
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
	spare   []*register    // Take the counter's place when it goes out of use
	log     []report.Write // of the current repetition, in the order of acknowledgements
	fault   time.Time      // of the current repetition; zero between them
	checked bool           // the ledger was read back since the fault

	ledger  []*register
	retired map[*register]bool // writer's; a write of theirs has an unknown outcome
	lap     int                // next register of the ledger
	n       uint64             // last number that was used
}

// openMeta makes the registers: uploads that are aborted leave a video each, whose title
// can be changed and which nobody plays.
func openMeta(ctx context.Context, env Env) (*Meta, error) {
	m := &Meta{env: env, retired: map[*register]bool{}}
	all := make([]*register, ledgerSize+8)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range all {
		g.Go(func() error {
			up, err := env.Cluster.Meta.OpenUpload(ctx, wire.OpenUploadRequest{Title: registerTitle(0), Owner: vstack.ProposerID(uuid.New())})
			if err != nil {
				return fmt.Errorf("make a register: %w", err)
			}
			all[i] = &register{video: up.Video}
			return env.Cluster.Meta.AbortUpload(ctx, up.ID, up.Incarnation)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	m.ledger, m.counter, m.spare = all[:ledgerSize], all[ledgerSize], all[ledgerSize+1:]
	return m, nil
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
			if err := m.ReadBack(ctx, "after the first write that followed the fault"); err != nil && ctx.Err() == nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
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
	_, err := m.env.Cluster.Meta.PatchVideo(call, r.video, wire.VideoPatch{Title: &title})
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

// read is one reader, which asks one member only and tells it nothing of what it saw.
// It waits out a pause of its member: the question that a paused leader finds in its
// socket when it wakes is the dangerous one.
func (m *Meta) read(ctx context.Context, addr string) error {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		r := m.current()
		floor := r.floor()
		begun := time.Now()
		var v vstack.Video
		call, cancel := context.WithTimeout(ctx, m.env.Patience)
		err := m.env.Cluster.Get(call, addr, "/v1/videos/"+r.video.String()+"?consistency=linearizable", &v)
		cancel()
		var n uint64
		if err == nil {
			n, err = parseTitle(v.Title)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			m.env.Add(report.ReadRefused, 1)
		case err == nil:
			m.env.Add(report.Reads, 1)
			m.env.Observe(report.ReadLatency, time.Since(begun))
			if err := r.read(floor, n); err != nil && r == m.current() {
				m.env.Fail(report.StaleReads, "member at %s: %v", addr, err)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
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
	m.fault, m.checked = fault, false
}

// Take closes the log of a repetition and returns it.
func (m *Meta) Take() []report.Write {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.log
	m.log, m.fault = nil, time.Time{}
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
	if m.fault.IsZero() || m.checked || len(m.log) == 0 || m.log[len(m.log)-1].Begun.Before(m.fault) {
		return false
	}
	m.checked = true
	return true
}

// ReadBack lists the registers linearizably and compares each with what was
// acknowledged before the listing began.
func (m *Meta) ReadBack(ctx context.Context, when string) error {
	want := map[vstack.VideoID]uint64{}
	for _, r := range append([]*register{m.current()}, m.ledger...) {
		want[r.video] = r.acknowledged()
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	have, err := m.list(ctx)
	if err != nil {
		return fmt.Errorf("read the ledger back %s: %w", when, err)
	}
	for id, n := range want {
		if got, ok := have[id]; !ok || got < n {
			m.env.Fail(report.LostWrites, "write %d of %s was acknowledged; %s it reads %d", n, id, when, got)
		}
	}
	return nil
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
			if !Wait(ctx, writeEvery) {
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
