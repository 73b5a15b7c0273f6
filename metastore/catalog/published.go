package catalog

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// A published video is the larger part of a snapshot, and its chunk references are the
// larger part of it: they go in binary behind its JSON.
//
//	0   4  length n of the JSON
//	4   n  JSON of the row, its tracks without chunks
//	    4  number of chunks of the first track
//	       for each: seq u32, id 32, size u32, start i64, duration i64, keyframe u8
//	       … of the second track
//
// Numbers are little-endian.
const (
	refSize        = 4 + 32 + 4 + 8 + 8 + 1
	maxFrameTracks = vstack.MaxTracks
)

func encodePublished(r *videoRow) ([]byte, error) {
	bare, m := *r, *r.Manifest
	m.Tracks = make([]vstack.Track, len(r.Manifest.Tracks))
	size := 0
	for i, t := range r.Manifest.Tracks {
		size += 4 + len(t.Chunks)*refSize
		t.Chunks = nil
		m.Tracks[i] = t
	}
	bare.Manifest = &m
	head, err := json.Marshal(&bare)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 4+len(head)+size)
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(head))), head...)
	for _, t := range r.Manifest.Tracks {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(t.Chunks)))
		for _, c := range t.Chunks {
			out = appendRef(out, c)
		}
	}
	return out, nil
}

// appendRef is a reference in binary, as snapshots and digests have it.
func appendRef(b []byte, c vstack.ChunkRef) []byte {
	b = binary.LittleEndian.AppendUint32(b, c.Seq)
	b = append(b, c.ID[:]...)
	b = binary.LittleEndian.AppendUint32(b, c.Size)
	b = binary.LittleEndian.AppendUint64(b, uint64(c.Start))
	b = binary.LittleEndian.AppendUint64(b, uint64(c.Duration))
	if c.Keyframe {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodePublished(b []byte) (*videoRow, error) {
	head, rest, ok := cut(b)
	if !ok {
		return nil, fmt.Errorf("%w: a published video of %d bytes", vstack.ErrCorrupt, len(b))
	}
	r := &videoRow{}
	if err := strict(head, r); err != nil {
		return nil, err
	}
	if r.Manifest == nil || len(r.Manifest.Tracks) > maxFrameTracks {
		return nil, fmt.Errorf("%w: published video %s without a manifest, or with too many tracks", vstack.ErrCorrupt, r.Video.ID)
	}
	for i := range r.Manifest.Tracks {
		t := &r.Manifest.Tracks[i]
		if len(rest) < 4 || t.Chunks != nil {
			return nil, fmt.Errorf("%w: track %d of video %s", vstack.ErrCorrupt, t.Number, r.Video.ID)
		}
		n := int(binary.LittleEndian.Uint32(rest))
		rest = rest[4:]
		if n > len(rest)/refSize {
			return nil, fmt.Errorf("%w: track %d of video %s: %d chunks in %d bytes", vstack.ErrCorrupt, t.Number, r.Video.ID, n, len(rest))
		}
		t.Chunks = make([]vstack.ChunkRef, n)
		for k := range t.Chunks {
			if rest[refSize-1] > 1 {
				return nil, fmt.Errorf("%w: track %d of video %s: chunk %d", vstack.ErrCorrupt, t.Number, r.Video.ID, k)
			}
			t.Chunks[k] = refOf(rest)
			rest = rest[refSize:]
		}
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes after video %s", vstack.ErrCorrupt, len(rest), r.Video.ID)
	}
	return r, nil
}

// refOf reads what appendRef wrote.
func refOf(b []byte) vstack.ChunkRef {
	return vstack.ChunkRef{
		Seq:      binary.LittleEndian.Uint32(b),
		ID:       vstack.ChunkID(b[4:36]),
		Size:     binary.LittleEndian.Uint32(b[36:]),
		Start:    int64(binary.LittleEndian.Uint64(b[40:])),
		Duration: int64(binary.LittleEndian.Uint64(b[48:])),
		Keyframe: b[56] == 1,
	}
}

// cut takes a part with its length from the front.
func cut(b []byte) (part, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}
