package fmp4

import (
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	// aacFrame is the samples of a frame of AAC LC.
	aacFrame = 1024
	// holeFrames is how many frames must be missing for a hole to be filled; less is the
	// rounding of a container's clock.
	holeFrames = 8
	// lateSeconds is how late a track must start for the time before to be filled.
	lateSeconds = 0.9
	// maxHole bounds a hole that is filled, in seconds. A browser holds some 50,000 frames
	// of sound, and what is longer is no pause but a broken clock.
	maxHole = 900
	// syncSample are the flags of a sample that depends on no other.
	syncSample = 0x02000000
)

// Filler puts silence where a track of AAC LC has none: before its start, and in its
// holes. Players wait at a hole, or play on and lose the picture. Other tracks pass
// through. Memory is bounded by one fragment, however long a hole is.
type Filler struct {
	r      *Reader
	in     *Init
	frame  []byte // one silent frame
	queue  []Fragment
	silent hole // what is left to fill before the queue
	begun  bool
}

// hole is a stretch of decode time.
type hole struct{ at, until int64 }

// NewFiller makes a Filler that reads r.
func NewFiller(r *Reader) *Filler { return &Filler{r: r} }

// Init is Reader.Init.
func (f *Filler) Init() (*Init, error) {
	in, err := f.r.Init()
	if err == nil && f.in == nil {
		f.in, f.frame = in, silentFrame(in.silence)
	}
	return in, err
}

// Next is Reader.Next.
func (f *Filler) Next() (Fragment, error) {
	if _, err := f.Init(); err != nil {
		return Fragment{}, err
	}
	if out, ok := f.fill(); ok {
		return out, nil
	}
	if len(f.queue) == 0 {
		next, err := f.r.Next()
		if err != nil || f.frame == nil {
			return next, err
		}
		f.queue = append(f.queue, next)
		if !f.begun && float64(next.Start) > lateSeconds*float64(f.in.Timescale) {
			f.silent = hole{0, next.decode}
		}
		f.begun = true
		if err := f.bound(next); err != nil {
			return Fragment{}, err
		}
		if out, ok := f.fill(); ok {
			return out, nil
		}
	}
	next := f.queue[0]
	f.queue = f.queue[1:]
	return f.split(next), nil
}

// bound refuses what is too long to be filled.
func (f *Filler) bound(next Fragment) error {
	longest := f.silent.until - f.silent.at
	for _, s := range next.samples {
		longest = max(longest, int64(s.duration))
	}
	if seconds := float64(longest) / float64(f.in.Timescale); seconds > maxHole {
		return fmt.Errorf("%w: its sound has a hole of %.0f s, at most %d s are filled with silence", vstack.ErrMediaUnfit, seconds, maxHole)
	}
	return nil
}

// split ends a fragment where a hole begins; what is behind it goes back into the queue.
func (f *Filler) split(next Fragment) Fragment {
	at, data := next.decode, next.media
	for i, s := range next.samples {
		data += int(s.size)
		if s.duration < holeFrames*aacFrame || next.media == 0 || data > len(next.Data) {
			at += int64(s.duration)
			continue
		}
		head := append([]row(nil), next.samples[:i+1]...)
		head[i].duration = aacFrame
		out := f.in.build(next.decode, head, next.Data[next.media:data])
		f.silent = hole{at + aacFrame, at + int64(s.duration)}
		if rest := next.samples[i+1:]; len(rest) > 0 {
			f.queue = append([]Fragment{f.in.build(f.silent.until, append([]row(nil), rest...), next.Data[data:])}, f.queue...)
		}
		return out
	}
	return next
}

// fill makes the next second of silence.
func (f *Filler) fill() (Fragment, bool) {
	left := f.silent.until - f.silent.at
	if left < aacFrame {
		f.silent = hole{}
		return Fragment{}, false
	}
	n := min(left/aacFrame, max(1, int64(f.in.Timescale)/aacFrame))
	samples := make([]row, n)
	var data []byte
	for i := range samples {
		samples[i] = row{duration: aacFrame, size: uint32(len(f.frame)), flags: syncSample}
		data = append(data, f.frame...)
	}
	length := n * aacFrame
	if rest := left - length; rest < aacFrame { // the last frame lasts until the sound begins
		samples[n-1].duration += uint32(rest)
		length = left
	}
	out := f.in.build(f.silent.at, samples, data)
	f.silent.at += length
	return out, true
}

// aacElements are the syntactic elements of a frame by channel configuration
// (ISO/IEC 14496-3, table 4.68): single, pair, low frequencies.
var aacElements = [...]string{1: "S", 2: "P", 3: "SP", 4: "SPS", 5: "SPP", 6: "SPPL", 7: "SPPPL"}

// silentFrame writes a raw data block whose spectrum is empty (ISO/IEC 14496-3, 4.4.2.1);
// nil for a configuration without a fixed order.
func silentFrame(configuration int) []byte {
	if configuration <= 0 || configuration >= len(aacElements) {
		return nil
	}
	var b bitWriter
	tags := map[rune]uint64{}
	channel := func() {
		b.put(0, 8) // global gain
	}
	info := func() {
		b.put(0, 1) // reserved
		b.put(0, 2) // one long window
		b.put(0, 1) // sine
		b.put(0, 6) // no scale factor bands
		b.put(0, 1) // no prediction
	}
	tools := func() { b.put(0, 3) } // no pulses, no noise shaping, no gain control
	for _, element := range aacElements[configuration] {
		id := map[rune]uint64{'S': 0, 'P': 1, 'L': 3}[element]
		b.put(id, 3)
		b.put(tags[element], 4)
		tags[element]++
		if element != 'P' {
			channel()
			info()
			tools()
			continue
		}
		b.put(1, 1) // a common window
		info()
		b.put(0, 2) // no mid and side
		for range 2 {
			channel()
			tools()
		}
	}
	b.put(7, 3) // the end
	return b.bytes
}

// bitWriter writes the highest bit first and fills up with zeros.
type bitWriter struct {
	bytes []byte
	used  int // of the last byte
}

func (b *bitWriter) put(v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		if b.used%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[len(b.bytes)-1] |= byte(v>>i&1) << (7 - b.used%8)
		b.used++
	}
}

// readSilence finds out whether the track is AAC LC in whose clock a frame is a frame.
func (in *Init) readSilence(_, trak []byte) error {
	entry, err := mustFind(trak, "mdia", "minf", "stbl", "stsd")
	if err != nil {
		return fmt.Errorf("stsd: %w", err)
	}
	if in.Codec != "mp4a.40.2" || int(in.Timescale) != in.SampleRate || len(entry.Body) < 8 {
		return nil
	}
	x, err := nextBox(entry.Body[8:])
	if err != nil || len(x.Body) < audioEntry {
		return nil
	}
	if c := audioConfig(x.Body[audioEntry:]); len(c) >= 2 && c[0]&7<<1|c[1]>>7 != 15 && c[1]&4 == 0 { // frames of 960 samples are rare
		in.silence = int(c[1] >> 3 & 15)
	}
	return nil
}
