package fmp4

import (
	"math"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Chunk is a run of whole fragments. Whoever gets it owns Data.
type Chunk struct {
	Data      []byte
	Start     int64 // presentation start in ticks, never below 0
	Duration  int64 // ticks; up to the start of the chunk after it
	Keyframe  bool  // starts with a random access point
	Fragments []vstack.Fragment
	Samples   int
}

// maxFragments bounds the fragments of a chunk; the catalog takes no more.
const maxFragments = 4096

// CutEvery is the least time between cut points.
const CutEvery = 4 * time.Second

// Cutter groups fragments into chunks of at most vstack.ChunkSize bytes and
// vstack.MaxChunkDuration, and marks the cut points among them. A fragment larger or
// longer than that is a chunk of its own. The zero value is not usable. Not safe for
// concurrent use.
//
// A chunk ends where the next fragment does not fit. If a later fragment of the full
// chunk is a cut point, or else starts with a keyframe, and at least half of a full chunk
// lies before it, the chunk ends there instead: a later seek then finds a chunk to start
// with, and the chunks stay at most twice as many as the smallest possible number.
//
// A cut point is the first fragment that starts with a keyframe at or after every CutEvery
// since the last one; or, where a list is given, the fragment at a time of the list.
type Cutter struct {
	limit int64   // of a chunk's duration, ticks
	cuts  []int64 // ticks, ascending; nil for the rule
	scale int64   // ticks a second
	next  int64   // no cut point before it, ticks
	parts []part
	data  []byte
}

// part is one fragment inside the chunk that grows.
type part struct {
	at, size   int // in data
	start, end int64
	lead       int
	samples    int
	keyframe   bool
	cut        bool
}

// NewCutter makes a Cutter for one track. cuts are its cut points in seconds; nil has the
// Cutter find them.
func NewCutter(timescale uint32, cuts []float64) *Cutter {
	c := &Cutter{limit: int64(vstack.MaxChunkDuration/time.Second) * int64(timescale), scale: int64(timescale), next: math.MinInt64}
	for _, s := range cuts {
		c.cuts = append(c.cuts, int64(math.Round(s*float64(timescale))))
	}
	return c
}

// Add takes the next fragment, copies its bytes, and returns the chunks that it
// completed: none, one, or two.
func (c *Cutter) Add(f Fragment) []Chunk {
	p := part{at: len(c.data), size: len(f.Data), start: f.Start, end: f.Start + f.Duration, lead: f.Lead, samples: f.Samples, keyframe: f.Keyframe}
	p.cut = f.Keyframe && c.cutsAt(f.Start)
	var out []Chunk
	for len(c.parts) > 0 && !c.fits(f) {
		out = append(out, c.take(c.place(p), f.Start))
	}
	p.at = len(c.data)
	c.parts = append(c.parts, p)
	c.data = append(c.data, f.Data...)
	return out
}

// cutsAt says whether a keyframe at a time is a cut point.
func (c *Cutter) cutsAt(start int64) bool {
	if c.cuts == nil {
		if start < c.next {
			return false
		}
		c.next = start + int64(CutEvery/time.Second)*c.scale
		return true
	}
	// Containers round times to a millisecond, each its own way.
	slack := max(1, c.scale*3/2000)
	for len(c.cuts) > 0 && c.cuts[0] < start-slack {
		c.cuts = c.cuts[1:]
	}
	return len(c.cuts) > 0 && c.cuts[0] <= start+slack
}

// Flush returns the last chunk; false when there is none.
func (c *Cutter) Flush() (Chunk, bool) {
	if len(c.parts) == 0 {
		return Chunk{}, false
	}
	return c.take(len(c.parts), c.parts[len(c.parts)-1].end), true
}

func (c *Cutter) fits(f Fragment) bool {
	return len(c.parts) < maxFragments && len(c.data)+len(f.Data) <= vstack.ChunkSize && f.Start+f.Duration-c.parts[0].start <= c.limit
}

// place says how many parts the chunk keeps, now that next does not fit.
func (c *Cutter) place(next part) int {
	if next.cut {
		return len(c.parts)
	}
	key := 0
	for n := len(c.parts) - 1; n > 0; n-- {
		p := c.parts[n]
		half := 2*p.at >= vstack.ChunkSize || 2*(p.start-c.parts[0].start) >= c.limit
		switch {
		case p.cut && half:
			return n
		case p.keyframe && half && key == 0:
			key = n
		}
	}
	if key > 0 && !next.keyframe {
		return key
	}
	return len(c.parts)
}

// take cuts off the first n parts as a chunk; next is the start of what follows all parts.
func (c *Cutter) take(n int, next int64) Chunk {
	first, size := c.parts[0], c.parts[n-1].at+c.parts[n-1].size
	end := next
	if n < len(c.parts) {
		end = c.parts[n].start
	}
	start := max(first.start, 0) // priming before zero is decoded and not presented
	out := Chunk{Data: c.data[:size:size], Start: start, Duration: max(end-start, 0), Keyframe: first.keyframe}
	out.describe(c.parts[:n])
	rest := c.data[size:]
	c.data = append(make([]byte, 0, len(rest)), rest...)
	kept := c.parts[:0]
	for _, p := range c.parts[n:] {
		p.at -= size
		kept = append(kept, p)
	}
	c.parts = kept
	return out
}

// describe fills Fragments, whose durations add up to the chunk's.
func (k *Chunk) describe(parts []part) {
	at, end := k.Start, k.Start+k.Duration
	k.Fragments = make([]vstack.Fragment, len(parts))
	for i, p := range parts {
		until := end
		if i+1 < len(parts) {
			until = min(max(parts[i+1].start, at), end)
		}
		f := vstack.Fragment{Size: uint32(p.size), Duration: until - at, Keyframe: p.keyframe, CutPoint: p.cut}
		if p.keyframe {
			f.Lead = uint32(p.lead)
		}
		k.Fragments[i] = f
		k.Samples += p.samples
		at = until
	}
}
