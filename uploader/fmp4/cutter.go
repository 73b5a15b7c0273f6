package fmp4

import (
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// Chunk is a run of whole fragments. Whoever gets it owns Data.
type Chunk struct {
	Data     []byte
	Start    int64 // presentation start in ticks, never below 0
	Duration int64 // ticks; up to the start of the chunk after it
	Keyframe bool  // starts with a random access point
}

// Cutter groups fragments into chunks of at most vstack.ChunkSize bytes and
// vstack.MaxChunkDuration. A fragment larger or longer than that is a chunk of its own.
// The zero value is not usable. Not safe for concurrent use.
//
// A chunk ends where the next fragment does not fit. If a later fragment of the full
// chunk starts with a keyframe, and at least half of a full chunk lies before it, the
// chunk ends there instead: a later seek then finds a chunk to start with, and the
// chunks stay at most twice as many as the smallest possible number.
type Cutter struct {
	limit int64 // of a chunk's duration, ticks
	parts []part
	data  []byte
}

// part is one fragment inside the chunk that grows.
type part struct {
	at, size   int // in data
	start, end int64
	keyframe   bool
}

// NewCutter makes a Cutter for one track.
func NewCutter(timescale uint32) *Cutter {
	return &Cutter{limit: int64(vstack.MaxChunkDuration/time.Second) * int64(timescale)}
}

// Add takes the next fragment, copies its bytes, and returns the chunks that it
// completed: none, one, or two.
func (c *Cutter) Add(f Fragment) []Chunk {
	var out []Chunk
	for len(c.parts) > 0 && !c.fits(f) {
		out = append(out, c.cut(c.place(f), f.Start))
	}
	c.parts = append(c.parts, part{at: len(c.data), size: len(f.Data), start: f.Start, end: f.Start + f.Duration, keyframe: f.Keyframe})
	c.data = append(c.data, f.Data...)
	return out
}

// Flush returns the last chunk; false when there is none.
func (c *Cutter) Flush() (Chunk, bool) {
	if len(c.parts) == 0 {
		return Chunk{}, false
	}
	return c.cut(len(c.parts), c.parts[len(c.parts)-1].end), true
}

func (c *Cutter) fits(f Fragment) bool {
	return len(c.data)+len(f.Data) <= vstack.ChunkSize && f.Start+f.Duration-c.parts[0].start <= c.limit
}

// place says how many parts the chunk keeps, now that next does not fit.
func (c *Cutter) place(next Fragment) int {
	if next.Keyframe {
		return len(c.parts)
	}
	for n := len(c.parts) - 1; n > 0; n-- {
		p := c.parts[n]
		half := 2*p.at >= vstack.ChunkSize || 2*(p.start-c.parts[0].start) >= c.limit
		if p.keyframe && half {
			return n
		}
	}
	return len(c.parts)
}

// cut takes the first n parts as a chunk; next is the start of what follows all parts.
func (c *Cutter) cut(n int, next int64) Chunk {
	first, size := c.parts[0], c.parts[n-1].at+c.parts[n-1].size
	end := next
	if n < len(c.parts) {
		end = c.parts[n].start
	}
	start := max(first.start, 0) // priming before zero is decoded and not presented
	out := Chunk{Data: c.data[:size:size], Start: start, Duration: max(end-start, 0), Keyframe: first.keyframe}
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
