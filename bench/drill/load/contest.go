package load

import (
	"context"
	"fmt"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// contestedSize is how many registers have several writers.
	contestedSize = 2
	// rivals is how many clients write to them.
	rivals     = 3
	rivalEvery = 50 * time.Millisecond
	// rivalPatience is how long a rival waits for an answer. It is less than most
	// failovers take: writes with an unknown outcome are what a history is for.
	rivalPatience = 400 * time.Millisecond
	readEvery     = 25 * time.Millisecond
)

// rival is one of several clients that write to the same registers at once.
func (m *Meta) rival(ctx context.Context, i int) error {
	name := fmt.Sprintf("rival %d", i+1)
	tick := time.NewTicker(rivalEvery)
	defer tick.Stop()
	for turn := i; ctx.Err() == nil; turn++ {
		r := m.contested[turn%len(m.contested)]
		n := m.number.Add(1)
		title := registerTitle(n)
		call, cancel := context.WithTimeout(ctx, rivalPatience)
		err := m.hist.write(r, name, n, func() error {
			_, err := m.rivals[i].Meta.PatchVideo(call, r.video, wire.VideoPatch{Title: &title})
			return err
		})
		cancel()
		if err == nil {
			m.env.Add(report.Writes, 1)
		} else if ctx.Err() == nil {
			m.env.Add(report.UnknownWrites, 1)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// read is one reader, which asks one member only and tells it nothing of what it saw.
// It waits out a pause of its member: the question that a paused leader finds in its
// socket when it wakes is the dangerous one. Every second question is about the counter.
func (m *Meta) read(ctx context.Context, i int) error {
	addr, name := m.env.Members[i], fmt.Sprintf("reader %d", i+1)
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for turn := 0; ctx.Err() == nil; turn++ {
		r, counter := m.current(), true
		if turn%2 == 1 {
			r, counter = m.contested[turn/2%len(m.contested)], false
		}
		floor := r.floor()
		begun := time.Now()
		n, err := m.hist.read(r, name, func() (uint64, error) { return m.ask(ctx, addr, r.video) })
		switch {
		case err != nil && ctx.Err() == nil:
			m.env.Add(report.ReadRefused, 1)
		case err == nil:
			m.env.Add(report.Reads, 1)
			m.env.Observe(report.ReadLatency, time.Since(begun))
			if !counter {
				break
			}
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

// ask reads one register linearizably at one member.
func (m *Meta) ask(ctx context.Context, addr string, id vstack.VideoID) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, m.env.Patience)
	defer cancel()
	var v vstack.Video
	if err := m.env.Cluster.Get(ctx, addr, "/v1/videos/"+id.String()+"?consistency=linearizable", &v); err != nil {
		return 0, err
	}
	return parseTitle(v.Title)
}
