package stream

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/mp4"
)

// Stream writes the tracks of one playback. It is a playback.FragmentSink.
type Stream struct {
	w        io.Writer
	duration float64
	lanes    []lane // in the order of the file's tracks
	begun    bool   // the head is written
	next     uint32 // fragment number
}

// lane is one track on its way.
type lane struct {
	number uint16
	init   []byte    // nil until it has come
	queue  []piece   // parts that wait for their turn
	starts []float64 // of the chunks that have not come in full, seconds
	sub    int       // fragments of the first of them that have come
	begins float64   // when what comes next begins; endless after the last chunk
}

// piece is a part of a chunk that waits: for the head, or for an earlier one of another track.
type piece struct {
	start float64 // seconds
	data  []byte
}

// New writes the tracks with the given numbers to w.
func New(m *vstack.Manifest, tracks []uint16, w io.Writer) *Stream {
	s := &Stream{w: w, duration: m.Duration, next: 1}
	for _, n := range tracks {
		l := lane{number: n}
		for _, t := range m.Tracks {
			if t.Number != n {
				continue
			}
			for _, c := range t.Chunks {
				l.starts = append(l.starts, seconds(t, c.Start))
			}
		}
		l.expect()
		s.lanes = append(s.lanes, l)
	}
	return s
}

func seconds(t vstack.Track, ticks int64) float64 {
	return float64(ticks) / float64(max(t.Timescale, 1))
}

// expect is what follows from a chunk's end.
func (l *lane) expect() {
	if l.sub, l.begins = 0, math.Inf(1); len(l.starts) > 0 {
		l.begins = l.starts[0]
	}
}

// Tracks picks what a player gets by a pipe: the first picture, the first sound.
func Tracks(m *vstack.Manifest) ([]uint16, error) {
	var out []uint16
	for _, kind := range []vstack.TrackKind{vstack.TrackVideo, vstack.TrackAudio} {
		if i := slices.IndexFunc(m.Tracks, func(t vstack.Track) bool { return t.Kind == kind }); i >= 0 {
			out = append(out, m.Tracks[i].Number)
		}
	}
	if len(out) == 0 {
		return nil, console.Hint(fmt.Errorf("video %s has neither picture nor sound: %w", m.Video, vstack.ErrNotFound), "vstack video info %s", m.Video)
	}
	return out, nil
}

// Chunk takes a track's init chunk first, then its chunks in order.
func (s *Stream) Chunk(ctx context.Context, track vstack.Track, ref vstack.ChunkRef, data []byte) error {
	return s.Fragment(ctx, track, ref, data, true)
}

// Fragment takes the parts of a track's init chunk first, then those of its chunks in order.
func (s *Stream) Fragment(_ context.Context, track vstack.Track, ref vstack.ChunkRef, data []byte, last bool) error {
	i := slices.IndexFunc(s.lanes, func(l lane) bool { return l.number == track.Number })
	if i < 0 {
		return fmt.Errorf("stream: %w: track %d was not asked for", vstack.ErrInvalid, track.Number)
	}
	l := &s.lanes[i]
	if l.init == nil {
		l.init = slices.Clone(data) // it has one part
		return s.begin()
	}
	if len(l.starts) == 0 {
		return fmt.Errorf("stream: %w: more chunks of track %d than the manifest has", vstack.ErrInvalid, track.Number)
	}
	l.queue = append(l.queue, piece{l.begins, data})
	if last {
		l.starts = l.starts[1:]
		l.expect()
	} else {
		l.pass(track, ref, len(data))
	}
	if err := s.flush(); err != nil {
		return err
	}
	if n := len(l.queue); n > 0 {
		l.queue[n-1].data = slices.Clone(data) // it has to wait, and the bytes are the playback's again
	}
	return nil
}

// pass moves on by the fragments of a chunk that n bytes have.
func (l *lane) pass(track vstack.Track, ref vstack.ChunkRef, n int) {
	for ; n > 0 && l.sub < len(ref.Fragments); l.sub++ {
		f := ref.Fragments[l.sub]
		n -= int(f.Size)
		l.begins += seconds(track, f.Duration)
	}
}

// begin writes the file's head once every track's init chunk is there.
func (s *Stream) begin() error {
	var inits [][]byte
	for _, l := range s.lanes {
		if l.init == nil {
			return nil
		}
		inits = append(inits, l.init)
	}
	head, err := mp4.JoinInits(inits, s.duration)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if _, err := s.w.Write(head); err != nil {
		return err
	}
	s.begun = true
	return s.flush()
}

// flush writes, earliest first, what nothing that is still to come can precede. Of what begins
// at the same time the first track's stands first.
func (s *Stream) flush() error {
	for s.begun {
		first, at := -1, math.Inf(1)
		for i, l := range s.lanes {
			begins := l.begins
			if len(l.queue) > 0 {
				begins = l.queue[0].start
			}
			if begins < at {
				first, at = i, begins
			}
		}
		if first < 0 || len(s.lanes[first].queue) == 0 {
			return nil
		}
		l := &s.lanes[first]
		if err := s.write(first, l.queue[0].data); err != nil {
			return err
		}
		l.queue = l.queue[1:]
	}
	return nil
}

// write gives fragments their track's number in this file.
func (s *Stream) write(i int, data []byte) error {
	parts, err := mp4.Renumber(data, uint32(i+1), s.next)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	for _, p := range parts {
		if _, err := s.w.Write(p); err != nil {
			return err
		}
	}
	s.next += uint32(len(parts)) // at least as many as fragments: numbers only grow
	return nil
}
