package fmp4

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/vstack/vstack/internal/vstack"
)

// Flags of tfhd and trun (ISO/IEC 14496-12, 8.8.7 and 8.8.8) and of a sample (8.8.3.1).
const (
	tfhdBaseOffset      = 0x000001
	tfhdDescription     = 0x000002
	tfhdDuration        = 0x000008
	tfhdSize            = 0x000010
	tfhdFlags           = 0x000020
	trunDataOffset      = 0x000001
	trunFirstFlags      = 0x000004
	trunDuration        = 0x000100
	trunSize            = 0x000200
	trunFlags           = 0x000400
	trunComposition     = 0x000800
	sampleIsNotSync     = 0x010000
	maxFragmentDuration = math.MaxInt32 // seconds × timescale stays far inside int64
)

// Fragment is one moof+mdat pair. Data is valid until the next call of Next.
type Fragment struct {
	Data     []byte
	Start    int64 // presentation start of its first frame in decode order, ticks; below 0 for priming
	Duration int64 // ticks
	Keyframe bool  // starts with a random access point
	Samples  int
	Lead     int // bytes to the end of the first frame

	decode  int64 // decode time, ticks
	samples []row // valid as long as Data
	media   int   // offset of the first sample in Data
}

// row is a row of a trun box with its defaults filled in.
type row struct {
	duration, size, flags uint32
	composition           int64
}

// maxSamples bounds the samples of a fragment, which FFmpeg ends after a second.
const maxSamples = 1 << 16

// moof is what a moof box says of its one track.
type moof struct {
	decodeTime  uint64
	tfdtAt      int // offset of the decode time's field in the fragment
	tfdtVersion uint8
	duration    uint64
	keyframe    bool
	samples     []row
	bytes       uint64 // of all samples
	media       int    // offset of the first sample in the fragment; 0 if it is not said
}

// parseMoof reads a moof box (header included) of the track that in describes.
func parseMoof(b []byte, in *Init) (moof, error) {
	var m moof
	top, err := nextBox(b)
	if err != nil {
		return m, err
	}
	trafs := 0
	err = children(top.Body, func(x box) error {
		if x.Type != "traf" {
			return nil
		}
		if trafs++; trafs > 1 {
			return fmt.Errorf("moof: %w: more than one track", vstack.ErrMediaUnfit)
		}
		return m.readTraf(x, len(b)-len(top.Body)+x.Offset+x.Size-len(x.Body), in)
	})
	if err != nil {
		return m, err
	}
	if len(m.samples) == 0 || m.tfdtAt == 0 {
		return m, fmt.Errorf("moof: %w: %d samples, tfdt at %d", vstack.ErrMediaUnfit, len(m.samples), m.tfdtAt)
	}
	return m, nil
}

// readTraf reads a traf box whose body starts at offset at of the fragment.
func (m *moof) readTraf(traf box, at int, in *Init) error {
	def := in.defaults
	seen := false
	return children(traf.Body, func(x box) error {
		switch x.Type {
		case "tfhd":
			seen = true
			return readTfhd(x, in, &def)
		case "tfdt":
			v, _, f := full(x)
			if v > 1 || m.tfdtAt != 0 {
				return fmt.Errorf("tfdt: %w: version %d or twice", vstack.ErrMediaUnfit, v)
			}
			m.tfdtVersion = v
			m.tfdtAt = at + x.Offset + x.Size - len(f.b)
			m.decodeTime = f.versioned(v)
			return f.check("tfdt")
		case "trun":
			if !seen {
				return fmt.Errorf("trun: %w: before tfhd", vstack.ErrMediaUnfit)
			}
			return m.readTrun(x, def)
		}
		return nil
	})
}

func readTfhd(x box, in *Init, def *sampleDefaults) error {
	_, flags, f := full(x)
	if id := f.u32(); id != in.TrackID && !f.short {
		return fmt.Errorf("tfhd: %w: track %d, want %d", vstack.ErrMediaUnfit, id, in.TrackID)
	}
	if flags&tfhdBaseOffset != 0 {
		// An offset from the start of the file is wrong in every chunk but the first.
		return fmt.Errorf("tfhd: %w: absolute data offset", vstack.ErrMediaUnfit)
	}
	if flags&tfhdDescription != 0 {
		f.skip(4)
	}
	if flags&tfhdDuration != 0 {
		def.duration = f.u32()
	}
	if flags&tfhdSize != 0 {
		def.size = f.u32()
	}
	if flags&tfhdFlags != 0 {
		def.flags = f.u32()
	}
	return f.check("tfhd")
}

func (m *moof) readTrun(x box, def sampleDefaults) error {
	_, flags, f := full(x)
	n := f.u32()
	if flags&trunDataOffset != 0 {
		if at := int32(f.u32()); m.media == 0 && at > 0 {
			m.media = int(at)
		}
	}
	first := def.flags
	if flags&trunFirstFlags != 0 {
		first = f.u32()
	}
	width := 0
	for _, bit := range []uint32{trunDuration, trunSize, trunFlags, trunComposition} {
		if flags&bit != 0 {
			width += 4
		}
	}
	// Without a field a sample the count is bounded by nothing else.
	if width > 0 && uint64(n)*uint64(width) > uint64(len(f.b)) || uint64(n)+uint64(len(m.samples)) > maxSamples {
		return fmt.Errorf("trun: %w: %d samples in %d bytes", vstack.ErrMediaUnfit, n, len(f.b))
	}
	for i := range n {
		s := row{duration: def.duration, size: def.size, flags: def.flags}
		if i == 0 {
			s.flags = first
		}
		if flags&trunDuration != 0 {
			s.duration = f.u32()
		}
		if flags&trunSize != 0 {
			s.size = f.u32()
		}
		if flags&trunFlags != 0 {
			s.flags = f.u32()
		}
		if flags&trunComposition != 0 {
			s.composition = int64(int32(f.u32())) // signed in version 1, and small in version 0
		}
		if len(m.samples) == 0 {
			m.keyframe = s.flags&sampleIsNotSync == 0
		}
		m.samples = append(m.samples, s)
		m.duration += uint64(s.duration)
		m.bytes += uint64(s.size)
	}
	return f.check("trun")
}

// setDecodeTime writes a decode time back into the fragment.
func (m *moof) setDecodeTime(fragment []byte, t int64) error {
	if m.tfdtVersion == 1 {
		binary.BigEndian.PutUint64(fragment[m.tfdtAt:], uint64(t))
		return nil
	}
	if t > math.MaxUint32 {
		return fmt.Errorf("tfdt: %w: decode time %d in 32 bits", vstack.ErrMediaUnfit, t)
	}
	binary.BigEndian.PutUint32(fragment[m.tfdtAt:], uint32(t))
	return nil
}
