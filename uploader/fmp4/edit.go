package fmp4

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// staleBoxes are what other programs left in a sample entry, and FFmpeg copies, about
// layers that a stored track does not have: with them a browser takes a plain picture for
// Dolby Vision, and refuses it.
var staleBoxes = []string{"dvcC", "dvvC", "dvwC", "avcE", "hvcE"}

// withoutBoxes takes boxes of some kinds out of the only sample entry of an init segment.
func withoutBoxes(data []byte, kinds ...string) ([]byte, error) {
	// The offsets in data of the headers of moov, trak … stsd and of the entry.
	var heads []int
	at, body := 0, data
	for _, kind := range []string{"moov", "trak", "mdia", "minf", "stbl", "stsd"} {
		x, ok := find(body, kind)
		if !ok {
			return data, nil // what is missing is said by who needs it
		}
		if x.Size-len(x.Body) != 8 {
			return nil, fmt.Errorf("box %q: %w: 64-bit size", kind, vstack.ErrMediaUnfit)
		}
		at += x.Offset
		heads = append(heads, at)
		at, body = at+8, x.Body
	}
	const stsdFields = 8
	if len(body) < stsdFields {
		return data, nil
	}
	entry, err := nextBox(body[stsdFields:])
	if err != nil || entry.Size-len(entry.Body) != 8 || len(entry.Body) < visualEntry || slices.Contains([]string{"mp4a", "Opus", "fLaC"}, entry.Type) {
		return data, nil
	}
	at += stsdFields
	heads = append(heads, at)
	at += 8 + visualEntry
	var keep []byte
	removed := 0
	err = children(entry.Body[visualEntry:], func(x box) error {
		if slices.Contains(kinds, x.Type) {
			removed += x.Size
			return nil
		}
		keep = append(keep, data[at+x.Offset:at+x.Offset+x.Size]...)
		return nil
	})
	if err != nil || removed == 0 {
		return data, nil
	}
	end := at + len(entry.Body) - visualEntry
	out := slices.Concat(data[:at], keep, data[end:])
	for _, h := range heads {
		binary.BigEndian.PutUint32(out[h:], binary.BigEndian.Uint32(out[h:])-uint32(removed))
	}
	return out, nil
}

// build writes one fragment of the track: its samples, whose bytes are data.
func (in *Init) build(decode int64, samples []row, data []byte) Fragment {
	const head = 8 + 16 + 8 + 16 + 20 + 20 // moof, mfhd, traf, tfhd, tfdt, trun without rows
	size := head + 16*len(samples)
	b := make([]byte, 0, size+8+len(data))
	be := binary.BigEndian
	box := func(n int, kind string, fields ...uint32) {
		b = append(be.AppendUint32(b, uint32(n)), kind...)
		for _, v := range fields {
			b = be.AppendUint32(b, v)
		}
	}
	const baseIsMoof = 0x020000
	box(size, "moof")
	box(16, "mfhd", 0, 0)
	box(size-24, "traf")
	box(16, "tfhd", baseIsMoof, in.TrackID)
	box(20, "tfdt", 1<<24)
	b = be.AppendUint64(b, uint64(decode))
	box(20+16*len(samples), "trun", 1<<24|trunDataOffset|trunDuration|trunSize|trunFlags|trunComposition, uint32(len(samples)), uint32(size+8))
	f := Fragment{Start: decode - in.EditOffset, Samples: len(samples), decode: decode, samples: samples, media: size + 8}
	for _, s := range samples {
		b = be.AppendUint32(b, s.duration)
		b = be.AppendUint32(b, s.size)
		b = be.AppendUint32(b, s.flags)
		b = be.AppendUint32(b, uint32(int32(s.composition)))
		f.Duration += int64(s.duration)
	}
	box(8+len(data), "mdat")
	f.Data = append(b, data...)
	f.Keyframe = samples[0].flags&sampleIsNotSync == 0
	f.Lead = f.media + int(samples[0].size)
	return f
}
