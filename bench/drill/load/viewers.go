package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/quicclient"
)

const (
	players = 2
	// bitrate makes a chunk of 2 MiB last about four seconds, and viewers keep ten of them:
	// each asks for a chunk every few seconds, so that faults meet playbacks that read. Near
	// its end a film is in memory; a minute keeps that part small.
	bitrate     = "4M"
	filmSeconds = 60
	playBuffer  = 10 * time.Second
	playPause   = 100 * time.Millisecond
	// goOnTimeout is how long after healing a viewer may wait for the next chunk.
	goOnTimeout = time.Minute
)

// errEnough ends a playback that has gone on after a fault.
var errEnough = errors.New("enough was seen")

// viewing is one viewer's playback, from its start to its end.
type viewing struct {
	enough chan struct{} // closed: it may end once another chunk was shown
	told   sync.Once     // closes it
	ended  chan struct{} // closed: it has
}

// play is one viewer, who starts the film again at its end.
func (m *Media) play(ctx context.Context, viewer int) error {
	chunks, err := m.env.Cluster.Chunks("")
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		v := &viewing{enough: make(chan struct{}), ended: make(chan struct{})}
		m.mu.Lock()
		m.watching[viewer-1] = v
		m.mu.Unlock()
		m.watch(ctx, chunks, viewer, v)
		close(v.ended)
	}
	return chunks.Close()
}

// watch is one playback. It counts as played when it came to the film's end, or went on
// after a fault until it was told that this is enough.
func (m *Media) watch(ctx context.Context, chunks *quicclient.Client, viewer int, v *viewing) {
	play, end := context.WithCancelCause(ctx)
	defer end(nil)
	r, err := chunks.Play(play, m.film, quicclient.PlayOptions{
		Speed: 1, Buffer: playBuffer,
		OnEvent: func(e quicclient.Event) {
			switch e.Kind {
			case quicclient.EventStarted:
				m.env.Observe(report.PlayStartup, e.Time)
			case quicclient.EventStall:
				m.env.Fail(report.Stalls, "viewer %d at %.1f s of the film", viewer, e.Position.Seconds())
			case quicclient.EventChunk:
				select {
				case <-v.enough:
					end(errEnough)
				default:
				}
			}
		},
	})
	switch {
	case ctx.Err() != nil:
	case err == nil || errors.Is(context.Cause(play), errEnough):
		m.env.Add(report.Plays, 1)
	default:
		m.env.Fail(report.PlayFailed, "viewer %d at %.1f s of the film: %v", viewer, r.Played, err)
		sleep.For(ctx, playPause)
	}
}

// EndPlays has every playback that is under way end once it was shown another chunk, and
// waits for that: those that met a fault are judged with it. The cluster is healthy.
func (m *Media) EndPlays(ctx context.Context) error {
	m.mu.Lock()
	under := m.watching
	m.mu.Unlock()
	for _, v := range under {
		if v != nil {
			v.told.Do(func() { close(v.enough) })
		}
	}
	late := time.After(goOnTimeout)
	for i, v := range under {
		if v == nil {
			continue
		}
		select {
		case <-v.ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late:
			m.env.Fail(report.PlayFailed, "viewer %d was shown nothing for %v after healing", i+1, goOnTimeout)
			late = time.After(0)
		}
	}
	return nil
}
