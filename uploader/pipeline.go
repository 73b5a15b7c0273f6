package uploader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/uploader/ffmpeg"
	"github.com/vstack/vstack/uploader/fmp4"
)

// maxChunks bounds the chunks of one video, with room below the 65,536 that the catalog
// takes in a manifest.
const maxChunks = 65000

// originalTrack is the number of the track that keeps the uploaded bytes, after every
// track that ffmpeg.Limits allows.
const originalTrack = vstack.MaxTracks

// cut is one attempt: the plan, where its chunks go, and what came of each track.
type cut struct {
	srv    *Server
	job    *job
	up     vstack.Upload
	plan   ffmpeg.Plan
	source string
	sender *sender
	tracks []*vstack.Track // by index of plan.Tracks, then the original; nil where empty
	made   atomic.Int64    // chunks
}

// run cuts the whole file and returns once every chunk is chosen, or once nothing of
// the attempt is left.
func (c *cut) run(ctx context.Context, keepOriginal bool, chosen map[vstack.Slot]vstack.Value) (vstack.Manifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.sender = newSender(ctx, cancel, c.srv, c.job, c.up, chosen)
	proc, err := c.srv.cfg.tools().Start(ctx, c.plan, c.source, c.srv.cfg.Stall)
	if err != nil {
		return vstack.Manifest{}, err
	}
	c.job.begin(jobTracks(c.plan, keepOriginal), c.plan.Warnings, func() float64 { return proc.Progress().Speed })
	defer c.job.end()
	c.tracks = make([]*vstack.Track, len(c.plan.Tracks)+1)
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
	for i, t := range c.plan.Tracks {
		part(func() error { return c.cutTrack(i, t, proc.Pipe(i)) })
	}
	if keepOriginal {
		part(func() error { return c.cutOriginal() })
	}
	err = g.Wait()
	ended := proc.Wait()
	sent := c.sender.wait()
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

// cutTrack reads one pipe to its end. A track without frames is left out.
func (c *cut) cutTrack(i int, plan ffmpeg.Track, pipe io.Reader) error {
	defer c.job.cutEnded(plan.Number)
	r := fmp4.NewReader(pipe, ffmpeg.Shift)
	in, err := r.Init()
	if errors.Is(err, vstack.ErrNoStreams) {
		c.job.warn(fmt.Sprintf("stream %d left out: it has no frames", plan.Stream.Index))
		return nil
	}
	if err != nil {
		return fmt.Errorf("track %d: %w", plan.Number, err)
	}
	c.job.named(plan.Number, in.Codec)
	t := describe(plan, in)
	if t.Init, err = c.send(t.Number, 0, fmp4.Chunk{Data: in.Data, Keyframe: true}); err != nil {
		return err
	}
	cutter := fmp4.NewCutter(in.Timescale)
	for {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("track %d: %w", plan.Number, err)
		}
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
	return nil
}

func (c *cut) sendAll(t *vstack.Track, chunks []fmp4.Chunk) error {
	for _, k := range chunks {
		ref, err := c.send(t.Number, uint32(len(t.Chunks)+1), k)
		if err != nil {
			return err
		}
		t.Chunks = append(t.Chunks, ref)
		end := float64(ref.Start+ref.Duration) / float64(t.Timescale)
		if limit := c.srv.cfg.Media.Duration; limit > 0 && end > limit+1 {
			return fmt.Errorf("track %d: %w: longer than %.0f s", t.Number, vstack.ErrMediaUnfit, limit)
		}
		c.job.cutTo(t.Number, end)
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
	slot := vstack.Slot{Video: c.up.Video, Track: track, Seq: seq}
	if err := c.sender.send(slot, ref, k.Data); err != nil {
		return ref, err
	}
	return ref, nil
}

// cutOriginal keeps the uploaded bytes as a track of their own, in chunks of
// vstack.ChunkSize.
func (c *cut) cutOriginal() error {
	f, err := os.Open(c.source)
	if err != nil {
		return fmt.Errorf("original: %w", err)
	}
	defer f.Close()
	t := &vstack.Track{Number: originalTrack, Kind: vstack.TrackOriginal, Name: "original", Copied: true}
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

func jobTracks(p ffmpeg.Plan, keepOriginal bool) []wire.JobTrack {
	var out []wire.JobTrack
	for _, t := range p.Tracks {
		out = append(out, wire.JobTrack{Number: t.Number, Kind: t.Kind, Name: t.Name, Copied: t.Copy})
	}
	if keepOriginal {
		out = append(out, wire.JobTrack{Number: originalTrack, Kind: vstack.TrackOriginal, Name: "original", Copied: true})
	}
	return out
}
