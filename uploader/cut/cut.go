package cut

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/arrive"
	"github.com/vstack/vstack/uploader/container"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/fmp4"
)

// maxChunks bounds the chunks of one video, with room below the 65,536 that the catalog
// takes in a manifest.
const maxChunks = 65000

// originalTrack is the number of the track that keeps the file's bytes, after every track
// that ffmpeg.Limits allows, above Base.
const originalTrack = vstack.MaxTracks

// Order is what to cut, and how.
type Order struct {
	Video  vstack.VideoID
	Source string // path of the file
	Plan   ffmpeg.Plan
	// Arriving, where set, is the file while it arrives: Source is not known before the end.
	Arriving Arriving
	// Base is added to the numbers of all tracks.
	Base uint16
	// Subtitles are given beside the file.
	Subtitles []Subtitles
	// KeepOriginal keeps the file's bytes as a track of their own.
	KeepOriginal bool
	Level        vstack.Level // of the cluster
	Tools        ffmpeg.Tools
	Stall        time.Duration // ffmpeg.Tools.Start's
	// Longest bounds a track, in seconds; 0 is no bound.
	Longest float64
}

// Arriving is a file that is cut while it arrives, by a plan made of its start.
type Arriving interface {
	Opened() *arrive.File
	// Whole waits for the end, and returns where the file lies then and the plan made of all
	// of it.
	Whole(ctx context.Context) (source string, plan ffmpeg.Plan, err error)
}

// ErrOtherwise says that a file is to be cut otherwise than its start had said.
var ErrOtherwise = errors.New("the whole file is cut otherwise than its start")

// Job is told how a cut fares. Its methods are called from several goroutines.
type Job interface {
	// Begin says what is cut; speed asks how fast, in seconds of media a second.
	Begin(tracks []wire.JobTrack, warnings []string, speed func() float64)
	// Named says what only a track's init segment tells.
	Named(track uint16, codec string)
	// CutTo says how far a track is cut, CutEnded that it has no more.
	CutTo(track uint16, seconds float64)
	CutEnded(track uint16)
	Warn(text string)
	// End follows Begin.
	End()
}

// Sender takes chunks and has them chosen.
type Sender interface {
	// Send takes over data and may wait until there is room for it. leaves is its table,
	// nil below the level of formats.
	Send(slot vstack.Slot, ref vstack.ChunkRef, leaves vstack.LeafTable, data []byte) error
	// Wait returns once nothing is on its way, with the first error.
	Wait() error
}

// cut is one run.
type cut struct {
	Order
	job    Job
	sender Sender
	tracks []*vstack.Track // by index of Plan.Tracks, then the original; nil where empty
	added  []*vstack.Track // of text and of pictures
	made   atomic.Int64    // chunks
	aside  *aside          // what is made beside the tracks meanwhile; nil for nothing
	ahead  *arrive.File    // the whole file, where that is read forward all the same; nil where not
}

// Run cuts the whole file and returns once every chunk is chosen, or once nothing of the
// run is left. newSender makes the sender, whose fail ends the run's context.
func Run(ctx context.Context, o Order, job Job, newSender func(ctx context.Context, fail context.CancelCauseFunc) Sender) (vstack.Manifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &cut{Order: o, job: job, sender: newSender(ctx, cancel)}
	c.Plan.Tracks = slices.Clone(o.Plan.Tracks)
	for i := range c.Plan.Tracks {
		c.Plan.Tracks[i].Number += o.Base
	}
	proc, err := c.start(ctx)
	if c.ahead != nil {
		defer c.ahead.Close()
	}
	if err != nil {
		return vstack.Manifest{}, err
	}
	c.aside = c.startAside(ctx)
	defer c.aside.end()
	job.Begin(c.jobTracks(), c.Plan.Warnings, func() float64 { return proc.Progress().Speed })
	defer job.End()
	c.tracks = make([]*vstack.Track, len(c.Plan.Tracks)+1)
	var g errgroup.Group
	// The first error of any part ends all others: ffmpeg, and with it the pipes.
	part := func(run func() error) {
		g.Go(func() error {
			err := run()
			if err != nil {
				cancel(err)
			}
			return err
		})
	}
	for i, t := range c.Plan.Tracks {
		part(func() error { return c.cutTrack(i, t, proc.Pipe(i)) })
	}
	if c.KeepOriginal {
		part(func() error { return c.cutOriginal(ctx) })
	}
	err = g.Wait()
	ended := proc.Wait()
	if err == nil && ended == nil && context.Cause(ctx) == nil {
		err = c.whole(ctx, proc.Said())
	}
	if err == nil && ended == nil && context.Cause(ctx) == nil {
		err = c.beside(ctx)
	}
	sent := c.sender.Wait()
	cause := context.Cause(ctx)
	switch {
	case errors.Is(ended, vstack.ErrTranscode):
		return vstack.Manifest{}, ended // a torn pipe is only its echo
	case cause != nil:
		return vstack.Manifest{}, cause // whatever came first; the rest are its echoes
	case err != nil || sent != nil || ended != nil:
		return vstack.Manifest{}, errors.Join(err, sent, ended)
	}
	return c.manifest(proc.Said())
}

// start starts FFmpeg.
func (c *cut) start(ctx context.Context) (*ffmpeg.Process, error) {
	if c.Arriving != nil {
		c.Tools.Arriving = c.Arriving.Opened()
		return c.Tools.Start(ctx, c.Plan, ffmpeg.Arriving, c.Stall)
	}
	var err error
	if c.Plan, err = c.Tools.Refine(ctx, c.Plan, c.Source); err != nil {
		return nil, err
	}
	facts, forward, err := container.Head(c.Tools.Vault, c.Source)
	if err != nil {
		return nil, err
	}
	if !forward || !facts.Streamed {
		return c.Tools.Start(ctx, c.Plan, c.Source, c.Stall)
	}
	if c.ahead, err = arrive.OpenWhole(c.Tools.Vault, c.Source); err != nil {
		return nil, err
	}
	c.Tools.Arriving = c.ahead
	return c.Tools.Start(ctx, c.Plan, ffmpeg.Arriving, c.Stall)
}

// streamed says that the file is read forward when it is whole, too.
func (c *cut) streamed() bool {
	facts, _, err := container.Head(c.Tools.Vault, c.Source)
	return err == nil && facts.Streamed
}

// whole waits for the end of a file that arrives, and for the word that it is cut as its
// start had said. A complaint of FFmpeg's is none: of the file where it lies it may make more.
func (c *cut) whole(ctx context.Context, said string) error {
	if c.Arriving == nil {
		return nil
	}
	source, plan, err := c.Arriving.Whole(ctx)
	if err != nil {
		return err
	}
	c.Source = source
	if said != "" && !c.streamed() {
		return fmt.Errorf("%w: read forward, FFmpeg says %s", ErrOtherwise, said)
	}
	plan.Tracks = slices.Clone(plan.Tracks)
	for i := range plan.Tracks {
		plan.Tracks[i].Number += c.Base
	}
	if !plan.Forward() || !plan.Same(c.Plan) || !container.Plain(c.Tools.Vault, source) {
		return ErrOtherwise
	}
	c.Plan = plan
	return nil
}

// cutTrack reads one pipe to its end. A track without frames is left out.
func (c *cut) cutTrack(i int, plan ffmpeg.Track, pipe io.Reader) error {
	defer c.job.CutEnded(plan.Number)
	r := source(plan, pipe)
	in, err := r.Init()
	if errors.Is(err, vstack.ErrNoStreams) {
		c.job.Warn(fmt.Sprintf("stream %d left out: it has no frames", plan.Stream.Index))
		return nil
	}
	if err != nil {
		return fmt.Errorf("track %d: %w", plan.Number, err)
	}
	c.job.Named(plan.Number, in.Codec)
	t := describe(plan, in, c.Level)
	if t.Init, err = c.send(t.Number, 0, fmp4.Chunk{Data: in.Data, Keyframe: true}); err != nil {
		return err
	}
	cutter, frames := fmp4.NewCutter(in.Timescale, plan.Cuts), 0
	for {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("track %d: %w", plan.Number, err)
		}
		frames += f.Samples
		if err := c.sendAll(t, cutter.Add(f)); err != nil {
			return err
		}
	}
	if last, ok := cutter.Flush(); ok {
		if err := c.sendAll(t, []fmp4.Chunk{last}); err != nil {
			return err
		}
	}
	c.tracks[i] = t
	if plan.Kind == vstack.TrackVideo {
		t.FrameRate = frameRate(t, frames)
	}
	return nil
}

// source is what a track's pipe says, with what the plan has left out or filled.
func source(plan ffmpeg.Track, pipe io.Reader) fmp4.Source {
	var r fmp4.Source = fmp4.NewFiller(fmp4.NewReader(pipe, ffmpeg.Shift))
	if plan.Torn {
		r = fmp4.NewWithoutLast(r)
	}
	return r
}

func (c *cut) sendAll(t *vstack.Track, chunks []fmp4.Chunk) error {
	for _, k := range chunks {
		ref, err := c.send(t.Number, uint32(len(t.Chunks)+1), k)
		if err != nil {
			return err
		}
		t.Chunks = append(t.Chunks, ref)
		end := float64(ref.Start+ref.Duration) / float64(t.Timescale)
		if limit := c.Longest; limit > 0 && end > limit+1 {
			return fmt.Errorf("track %d: %w: longer than %.0f s", t.Number, vstack.ErrMediaUnfit, limit)
		}
		c.job.CutTo(t.Number, end)
	}
	return nil
}

// send names a chunk and gives it to the sender, which waits for a free place.
func (c *cut) send(track uint16, seq uint32, k fmp4.Chunk) (vstack.ChunkRef, error) {
	if c.made.Add(1) > maxChunks {
		return vstack.ChunkRef{}, fmt.Errorf("cut: %w: more than %d chunks", vstack.ErrMediaUnfit, maxChunks)
	}
	ref := vstack.ChunkRef{
		Seq: seq, ID: vstack.ChunkIDOf(k.Data), Size: uint32(len(k.Data)),
		Start: k.Start, Duration: k.Duration, Keyframe: k.Keyframe,
	}
	var leaves vstack.LeafTable
	if c.Level >= vstack.LevelFormats {
		leaves = vstack.LeavesOf(k.Data)
		ref.Leaves, ref.Fragments = leaves.Root(), k.Fragments
	}
	slot := vstack.Slot{Video: c.Video, Track: track, Seq: seq}
	if err := c.sender.Send(slot, ref, leaves, k.Data); err != nil {
		return ref, err
	}
	return ref, nil
}

// cutOriginal keeps the uploaded bytes as a track of their own, in chunks of
// vstack.ChunkSize.
func (c *cut) cutOriginal(ctx context.Context) error {
	var f io.Reader
	if c.Arriving != nil {
		f = c.Arriving.Opened().Reader(ctx)
	} else {
		file, err := c.Tools.Vault.Open(c.Source)
		if err != nil {
			return fmt.Errorf("original: %w", err)
		}
		defer file.Close()
		f = file.Reader()
	}
	t := &vstack.Track{Number: c.Base + originalTrack, Kind: vstack.TrackOriginal, Name: "original", Copied: true}
	for {
		data := make([]byte, vstack.ChunkSize)
		n, err := io.ReadFull(f, data)
		if n > 0 {
			ref, err := c.send(t.Number, uint32(len(t.Chunks)+1), fmp4.Chunk{Data: data[:n]})
			if err != nil {
				return err
			}
			t.Chunks = append(t.Chunks, ref)
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			c.tracks[len(c.tracks)-1] = t
			return nil
		case err != nil:
			return fmt.Errorf("original: %w", err)
		}
	}
}

func (c *cut) jobTracks() []wire.JobTrack {
	var out []wire.JobTrack
	for _, t := range c.Plan.Tracks {
		out = append(out, wire.JobTrack{Number: t.Number, Kind: t.Kind, Name: t.Name, Copied: t.Copy})
	}
	if c.KeepOriginal {
		out = append(out, wire.JobTrack{Number: c.Base + originalTrack, Kind: vstack.TrackOriginal, Name: "original", Copied: true})
	}
	return out
}
