package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/vstack/vstack/internal/vstack"
)

// maxSkipped bounds a top-level box that is read over (styp, sidx, free …).
const maxSkipped = 1 << 20

// Reader walks one track's stream: Init once, then Next until io.EOF. Not safe for
// concurrent use.
type Reader struct {
	r     io.Reader
	shift int64 // seconds
	init  *Init
	buf   []byte
	ahead bool // buf and first hold the first fragment, which Init had to read
	first Fragment
	// delay is the composition offset of the last keyframe: with constant reordering decode
	// time + delay is where a fragment's part of the presentation begins.
	delay int64
	last  int64 // decode time of the fragment before, to see that time does not go back
	err   error
}

// NewReader reads r, whose clock runs ahead by shift whole seconds.
func NewReader(r io.Reader, shift int64) *Reader {
	return &Reader{r: r, shift: shift, last: math.MinInt64}
}

// Init reads ftyp and moov, and the first fragment, whose decode time decides the
// edit offset. A stream that ends before its first fragment gives ErrNoStreams.
func (r *Reader) Init() (*Init, error) {
	if r.init != nil || r.err != nil {
		return r.init, r.err
	}
	in, err := r.readInit()
	if err != nil {
		r.err = fmt.Errorf("read init segment: %w", err)
		return nil, r.err
	}
	m, err := r.readFragment(in)
	if err == io.EOF {
		err = fmt.Errorf("%w: track has no frames", vstack.ErrNoStreams)
	}
	if err != nil {
		r.err = fmt.Errorf("read first fragment: %w", err)
		return nil, r.err
	}
	base := r.shift * int64(in.Timescale)
	if m.decodeTime < uint64(base) {
		in.EditOffset = base - int64(m.decodeTime)
		if in.Data, err = withEditOffset(in.Data, in.EditOffset); err != nil {
			r.err = fmt.Errorf("write edit list: %w", err)
			return nil, r.err
		}
	}
	r.delay = m.samples[0].composition
	if r.first, err = r.place(in, m); err != nil {
		r.err = err
		return nil, err
	}
	r.init, r.ahead = in, true
	return in, nil
}

// Next returns the next fragment with its decode time put right, or io.EOF.
func (r *Reader) Next() (Fragment, error) {
	if _, err := r.Init(); err != nil {
		return Fragment{}, err
	}
	if r.ahead {
		r.ahead = false
		return r.first, nil
	}
	m, err := r.readFragment(r.init)
	if err == io.EOF {
		return Fragment{}, io.EOF
	}
	var f Fragment
	if err == nil {
		f, err = r.place(r.init, m)
	}
	if err != nil {
		r.err = fmt.Errorf("read fragment: %w", err)
		return Fragment{}, r.err
	}
	return f, nil
}

// place moves a fragment from the writer's clock to the track's.
func (r *Reader) place(in *Init, m moof) (Fragment, error) {
	base := r.shift * int64(in.Timescale)
	if m.decodeTime > math.MaxInt64/2 || m.duration > math.MaxInt64/4 {
		return Fragment{}, fmt.Errorf("%w: decode time %d, duration %d", vstack.ErrMediaUnfit, m.decodeTime, m.duration)
	}
	t := int64(m.decodeTime) - base + in.EditOffset
	if t < 0 || t < r.last {
		return Fragment{}, fmt.Errorf("%w: decode time %d after %d", vstack.ErrMediaUnfit, t, r.last)
	}
	r.last = t
	if err := m.setDecodeTime(r.buf, t); err != nil {
		return Fragment{}, err
	}
	if m.keyframe {
		r.delay = m.samples[0].composition
	}
	f := Fragment{
		Data: r.buf, Start: t - in.EditOffset + r.delay, Duration: int64(m.duration),
		Keyframe: m.keyframe, Samples: len(m.samples), decode: t, samples: m.samples, media: m.media,
	}
	if end := int64(m.media) + int64(m.samples[0].size); m.media > 0 && end <= int64(len(r.buf)) {
		f.Lead = int(end)
	}
	return f, nil
}

func (r *Reader) readInit() (*Init, error) {
	r.buf = r.buf[:0]
	seen := ""
	for {
		kind, size, head, err := r.header()
		if err == io.EOF {
			return nil, fmt.Errorf("%w: no moov box", vstack.ErrNoStreams)
		}
		if err != nil {
			return nil, err
		}
		switch kind {
		case "ftyp", "moov":
			if err := r.body(size, MaxInit); err != nil {
				return nil, fmt.Errorf("box %q: %w", kind, err)
			}
			if seen += kind; kind == "moov" {
				if seen != "ftypmoov" {
					return nil, fmt.Errorf("%w: boxes %q before the first fragment", vstack.ErrMediaUnfit, seen)
				}
				data, err := withoutBoxes(append([]byte(nil), r.buf...), staleBoxes...)
				if err != nil {
					return nil, err
				}
				return parseInit(data)
			}
		case "free", "skip":
			if err := r.skip(size, head); err != nil {
				return nil, fmt.Errorf("box %q: %w", kind, err)
			}
		default:
			return nil, fmt.Errorf("box %q: %w: want ftyp and moov", kind, vstack.ErrMediaUnfit)
		}
	}
}

// readFragment reads moof and mdat into buf; io.EOF only between fragments.
func (r *Reader) readFragment(in *Init) (moof, error) {
	r.buf = r.buf[:0]
	kind := ""
	for kind != "moof" {
		var size int64
		var head int
		var err error
		if kind, size, head, err = r.header(); err != nil {
			return moof{}, err
		}
		switch kind {
		case "moof":
			err = r.body(size, vstack.MaxChunkSize)
		case "styp", "sidx", "free", "skip", "prft", "emsg", "mfra":
			err = r.skip(size, head)
		default:
			err = fmt.Errorf("%w: not a box between fragments", vstack.ErrMediaUnfit)
		}
		if err != nil {
			return moof{}, fmt.Errorf("box %q: %w", kind, err)
		}
	}
	m, err := parseMoof(r.buf, in)
	if err != nil {
		return m, err
	}
	moofSize := len(r.buf)
	kind, size, _, err := r.header()
	if err == nil && kind != "mdat" {
		err = fmt.Errorf("%w: box %q after moof, want mdat", vstack.ErrMediaUnfit, kind)
	}
	if err == nil {
		err = r.body(size, vstack.MaxChunkSize)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return m, fmt.Errorf("box \"mdat\": %w", err)
	}
	if m.bytes > uint64(len(r.buf)-moofSize) {
		return m, fmt.Errorf("moof: %w: samples of %d bytes in an mdat of %d", vstack.ErrMediaUnfit, m.bytes, len(r.buf)-moofSize)
	}
	return m, nil
}

// header appends a box header to buf and returns its type, the size of its body and
// its own.
func (r *Reader) header() (kind string, body int64, head int, err error) {
	at := len(r.buf)
	if err := r.fill(8); err != nil {
		return "", 0, 0, err
	}
	size, head := uint64(binary.BigEndian.Uint32(r.buf[at:])), 8
	kind = string(r.buf[at+4 : at+8])
	if size == 1 {
		if err := r.fill(8); err != nil {
			return kind, 0, 0, noEOF(err)
		}
		size, head = binary.BigEndian.Uint64(r.buf[at+8:]), 16
	}
	if size < uint64(head) || size > math.MaxInt64 {
		return kind, 0, 0, fmt.Errorf("box %q: %w: size %d", kind, vstack.ErrMediaUnfit, size)
	}
	return kind, int64(size) - int64(head), head, nil
}

// body appends a box's body to buf, as long as buf stays within limit.
func (r *Reader) body(size int64, limit int) error {
	if size > int64(limit-len(r.buf)) {
		return fmt.Errorf("%w: %d bytes with what is before it, at most %d", vstack.ErrMediaUnfit, size+int64(len(r.buf)), limit)
	}
	return noEOF(r.fill(int(size)))
}

// skip reads over a box's body and drops its header from buf.
func (r *Reader) skip(size int64, head int) error {
	if size > maxSkipped {
		return fmt.Errorf("%w: %d bytes to skip, at most %d", vstack.ErrMediaUnfit, size, maxSkipped)
	}
	if n, err := io.CopyN(io.Discard, r.r, size); err != nil && n < size {
		return noEOF(err)
	}
	r.buf = r.buf[:len(r.buf)-head]
	return nil
}

// fill appends n bytes of the stream to buf. It grows buf by what arrived and not by
// what a header promised.
func (r *Reader) fill(n int) error {
	const step = 256 << 10
	got := 0
	for got < n {
		at, want := len(r.buf), min(n-got, step)
		if cap(r.buf)-at < want {
			grown := make([]byte, at, max(2*cap(r.buf), at+want))
			copy(grown, r.buf)
			r.buf = grown
		}
		k, err := io.ReadFull(r.r, r.buf[at:at+want])
		r.buf = r.buf[:at+k]
		got += k
		if err != nil {
			if errors.Is(err, io.EOF) && got > 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
