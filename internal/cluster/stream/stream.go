package stream

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/gateway/mp4"
)

// Stream writes the tracks of one playback. It is a playback.Sink.
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
	init   []byte  // nil until it has come
	queue  []piece // chunks that wait for their turn
	left   int     // chunks that are not written yet
}

// piece is a chunk that waits: for the head, or for an earlier one of another track.
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
			if t.Number == n {
				l.left = len(t.Chunks)
			}
		}
		s.lanes = append(s.lanes, l)
	}
	return s
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
func (s *Stream) Chunk(_ context.Context, track vstack.Track, ref vstack.ChunkRef, data []byte) error {
	i := slices.IndexFunc(s.lanes, func(l lane) bool { return l.number == track.Number })
	if i < 0 {
		return fmt.Errorf("stream: %w: track %d was not asked for", vstack.ErrInvalid, track.Number)
	}
	l := &s.lanes[i]
	if l.init == nil {
		l.init = slices.Clone(data)
		return s.begin()
	}
	l.queue = append(l.queue, piece{float64(ref.Start) / float64(max(track.Timescale, 1)), slices.Clone(data)})
	return s.flush()
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

// flush writes, earliest first, what no chunk that is still to come can precede.
func (s *Stream) flush() error {
	for s.begun {
		first := -1
		for i, l := range s.lanes {
			switch {
			case l.left > 0 && len(l.queue) == 0:
				return nil // its next chunk may be the earliest
			case len(l.queue) > 0 && (first < 0 || l.queue[0].start < s.lanes[first].queue[0].start):
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		l := &s.lanes[first]
		if err := s.write(first, l.queue[0].data); err != nil {
			return err
		}
		l.queue, l.left = l.queue[1:], l.left-1
	}
	return nil
}

// write gives a chunk's fragments their track's number in this file.
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
