package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/cluster/board"
	"github.com/vstack/vstack/internal/cluster/stream"
	"github.com/vstack/vstack/internal/cluster/tell"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/uploader/ffmpeg"
)

// PlayTo plays a video into nothing, into a file or into out.
func (c *Cluster) PlayTo(ctx context.Context, prog *console.Progress, id vstack.VideoID, policy, file string, out io.Writer, opt quicclient.PlayOptions) (quicclient.Report, error) {
	m, v, err := c.film(ctx, id)
	if err != nil {
		return quicclient.Report{}, console.Hint(err, "vstack video ls")
	}
	switch file {
	case "":
	case "-":
		if opt.Tracks, err = stream.Tracks(m); err != nil {
			return quicclient.Report{}, err
		}
		opt.Sink = stream.New(m, opt.Tracks, out)
	default:
		parts, err := newTrackFiles(file)
		if err != nil {
			return quicclient.Report{}, err
		}
		defer parts.remove()
		opt.Sink = parts
		r, err := c.playCounted(ctx, prog, m, v, policy, opt)
		if err != nil {
			return r, err
		}
		return r, parts.mux(ctx, file)
	}
	return c.playCounted(ctx, prog, m, v, policy, opt)
}

// viewTimeout bounds the counting of a view: a catalog that is away delays no viewer.
const viewTimeout = 2 * time.Second

// playCounted plays and counts a view once something was shown, an interrupted one too.
func (c *Cluster) playCounted(ctx context.Context, prog *console.Progress, m *vstack.Manifest, v *vstack.Video, policy string, opt quicclient.PlayOptions) (quicclient.Report, error) {
	r, err := c.play(ctx, prog, m, v, policy, opt, true)
	if r.Verified > 0 {
		count, cancel := context.WithTimeout(context.WithoutCancel(ctx), viewTimeout)
		defer cancel()
		if verr := c.Meta.AddViews(count, m.Video, 1); verr != nil {
			c.logger.Warn("the view was not counted", "video", m.Video, "err", verr)
		}
	}
	return r, err
}

// Play runs the smart client and shows how it goes.
func (c *Cluster) Play(ctx context.Context, prog *console.Progress, m *vstack.Manifest, policy string, opt quicclient.PlayOptions) (quicclient.Report, error) {
	return c.play(ctx, prog, m, c.video(ctx, m.Video), policy, opt, false)
}

func (c *Cluster) play(ctx context.Context, prog *console.Progress, m *vstack.Manifest, v *vstack.Video, policy string, opt quicclient.PlayOptions, told bool) (quicclient.Report, error) {
	qc, err := c.Chunks(policy)
	if err != nil {
		return quicclient.Report{}, err
	}
	unit := console.UnitCount
	if opt.Speed > 0 {
		unit = console.UnitSeconds
	}
	task := prog.Task("play", unit, 0)
	var t *tell.Teller
	if told {
		name := policy
		if p, err := quicclient.PolicyByName(policy); err == nil {
			name = p.Name()
		}
		t = tell.Start(tell.Config{Gateways: c.cfg.Gateways, Call: c.Call, Signals: qc.Stores, Manifest: m, Policy: name})
	}
	shown := board.Start(prog, qc.Stores)
	hears := opt.OnEvent
	opt.OnEvent = func(e quicclient.Event) {
		shown.Event(e)
		if hears != nil {
			hears(e)
		}
		t.Event(e)
		text := "as fast as it goes"
		if opt.Speed > 0 {
			text = fmt.Sprintf("buffer %s %2.0f s", console.Bar(e.Buffered.Seconds()/30, 15), e.Buffered.Seconds())
		}
		if e.Kind == quicclient.EventStall {
			text = "stalled"
		}
		if opt.Speed > 0 { // what a viewer has seen, not what has been fetched
			task.Set(e.Position.Milliseconds(), int64(m.Duration*1000), text)
			return
		}
		task.Set(int64(e.Done), int64(e.Total), text)
	}
	if v != nil {
		if watch.In(ctx) == "" && v.Access.Private() {
			ctx = quicclient.Certified(ctx) // an administrator's, or it had not been found
		}
		qc.Hint(*v, m) // so that it begins with what lies in copies in every class
	}
	r, err := qc.Play(ctx, m, opt)
	shown.Close()
	t.End(r, err)
	if err != nil {
		task.Fail(err.Error())
	} else {
		task.End(fmt.Sprintf("%d chunks verified", r.Verified))
	}
	return r, errors.Join(err, qc.Close())
}

// film asks the catalog for all that a playback begins with, at once: a round trip a question
// is what a viewer far away waits for. The map stays with the client; a video that the catalog
// does not tell of is nil.
func (c *Cluster) film(ctx context.Context, id vstack.VideoID) (m *vstack.Manifest, v *vstack.Video, err error) {
	var g errgroup.Group
	g.Go(func() error { v = c.video(ctx, id); return nil })
	g.Go(func() error {
		_, _ = c.Meta.Placement(ctx) // whoever plays asks again
		return nil
	})
	m, err = c.Meta.Manifest(ctx, id)
	_ = g.Wait() // neither fails
	return m, v, err
}

// video is what the catalog says of one; nil where it does not say.
func (c *Cluster) video(ctx context.Context, id vstack.VideoID) *vstack.Video {
	v, err := c.Meta.Video(ctx, id)
	if err != nil {
		return nil
	}
	return &v
}

// trackFiles collects each track in a file of its own, for ffmpeg to put together.
type trackFiles struct {
	dir   string
	order []uint16
	files map[uint16]*os.File
}

// newTrackFiles makes a directory beside the file to be, so that it is on a disk with
// room for it.
func newTrackFiles(beside string) (*trackFiles, error) {
	dir, err := os.MkdirTemp(dirOf(beside), ".vstack-tracks-")
	if err != nil {
		return nil, fmt.Errorf("make track files: %w", err)
	}
	return &trackFiles{dir: dir, files: map[uint16]*os.File{}}, nil
}

func (t *trackFiles) Chunk(_ context.Context, track vstack.Track, _ vstack.ChunkRef, data []byte) error {
	f := t.files[track.Number]
	if f == nil {
		var err error
		if f, err = os.Create(fmt.Sprintf("%s/%d.mp4", t.dir, track.Number)); err != nil {
			return err
		}
		t.files[track.Number] = f
		t.order = append(t.order, track.Number)
	}
	_, err := f.Write(data)
	return err
}

// mux puts the tracks into one file without touching a frame.
func (t *trackFiles) mux(ctx context.Context, out string) error {
	var inputs []string
	for _, n := range t.order {
		inputs = append(inputs, t.files[n].Name())
		if err := t.files[n].Close(); err != nil {
			return err
		}
	}
	return ffmpeg.Remux(ctx, inputs, out)
}

func (t *trackFiles) remove() {
	for _, f := range t.files {
		_ = f.Close() // closed already when mux ran
	}
	_ = os.RemoveAll(t.dir) // what is left is a temporary directory with a name that says so
}
