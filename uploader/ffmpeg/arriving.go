package ffmpeg

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/arrive"
	"github.com/vstack/vstack/uploader/child"
	"github.com/vstack/vstack/uploader/container"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// Arriving stands for the name of a file that is read while it arrives, forward only.
const Arriving = "pipe:0"

// ProbeArriving is Probe of a file of which only the start is there, by t.Arriving; head is
// where it lies. What cannot be read forward, or needs a look at all of the file, is
// ErrNotReady: it can be probed when it is whole.
func (t Tools) ProbeArriving(ctx context.Context, head string) (media.Media, error) {
	facts, forward, err := container.Head(t.Vault, head)
	if err == nil && !forward {
		err = fmt.Errorf("probe: %w: the file cannot be read forward", vstack.ErrNotReady)
	}
	if err != nil {
		return media.Media{}, err
	}
	m, err := t.look(ctx, Arriving, facts)
	if err != nil {
		return media.Media{}, err
	}
	if slices.ContainsFunc(m.Streams, media.Stream.Open) {
		return media.Media{}, fmt.Errorf("probe: %w: its start does not say all of its streams", vstack.ErrNotReady)
	}
	m.MarkStills()
	return m, nil
}

// Same says that two plans cut alike: the one of a file's start, and the one of all of it.
// What their probes counted may differ.
func (p Plan) Same(q Plan) bool {
	if p.Origin != q.Origin || len(p.Tracks) != len(q.Tracks) || !slices.Equal(p.Warnings, q.Warnings) {
		return false
	}
	for i, a := range p.Tracks {
		b := q.Tracks[i]
		if a.counted() != b.counted() || len(a.Cuts)+len(b.Cuts) > 0 {
			return false
		}
		a.Stream, b.Stream, a.Cuts, b.Cuts = media.Stream{}, media.Stream{}, nil, nil
		if fmt.Sprint(a) != fmt.Sprint(b) {
			return false
		}
	}
	return true
}

// counted is the track's stream without what a probe has counted and the cut does not use.
func (t Track) counted() media.Stream {
	s := t.Stream
	s.Frames, s.Total = 0, 0
	if t.Copy {
		s.FrameRate = 0
	}
	return s
}

// runFed is child.RunBy of a child that may read what arrives.
func (t Tools) runFed(ctx context.Context, c *exec.Cmd, file string, start func() error) error {
	if file != Arriving {
		return child.RunBy(c, start)
	}
	in, err := arrive.NewPipe()
	if err != nil {
		return err
	}
	defer in.Close()
	c.Stdin = in.End()
	var fed sync.WaitGroup
	defer fed.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return child.RunBy(c, func() error {
		err := start()
		if err == nil {
			fed.Go(func() { _ = in.Pass(ctx, t.Arriving) }) // the child says what it makes of a part
		}
		return err
	})
}
