package cut

import (
	"context"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/ffmpeg/media"
)

// aside is what is made beside the tracks while they are cut, by the length that the file
// states. It counts only if the tracks turn out to want the same; else it was for nothing.
type aside struct {
	wanted ffmpeg.Beside
	cancel context.CancelFunc
	done   chan struct{}
	made   [][][]byte // set before done is closed, as is err
	err    error
}

// startAside begins; nil where the file states no length, or nothing is wanted.
func (c *cut) startAside(ctx context.Context) *aside {
	seconds := c.Plan.Duration
	if c.Level < vstack.LevelFormats || seconds <= 0 {
		return nil
	}
	var of *media.Stream
	for i, t := range c.Plan.Tracks {
		if t.Kind == vstack.TrackVideo {
			of = &c.Plan.Tracks[i].Stream
			break
		}
	}
	a := &aside{wanted: c.wanted(of, seconds), done: make(chan struct{})}
	if a.wanted.Outputs() == 0 {
		return nil
	}
	file := c.Source
	if c.Tools.Arriving != nil {
		file = ffmpeg.Arriving
	}
	ctx, a.cancel = context.WithCancel(ctx)
	go func() {
		defer close(a.done)
		a.made, a.err = c.runBeside(ctx, a.wanted, seconds, file)
	}()
	return a
}

// take waits for what was made, if it is what is wanted; nil if it is not.
func (a *aside) take(wanted ffmpeg.Beside) ([][][]byte, error) {
	if a == nil || !a.wanted.Same(wanted) {
		return nil, nil
	}
	<-a.done
	return a.made, a.err
}

// end ends it, whatever it has made, and waits until nothing of it runs.
func (a *aside) end() {
	if a != nil {
		a.cancel()
		<-a.done
	}
}
