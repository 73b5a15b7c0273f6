package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// refSize is that of a chunk reference in binary: seq u32, id 32, size u32, start i64,
// duration i64, keyframe u8; little-endian.
const refSize = 4 + 32 + 4 + 8 + 8 + 1

// Bare is a copy of a manifest whose tracks have no chunks: what of it goes as JSON
// beside binary references. In version 2 its init chunks are among those.
func Bare(m *vstack.Manifest) *vstack.Manifest {
	bare := *m
	bare.Tracks = make([]vstack.Track, len(m.Tracks))
	for i, t := range m.Tracks {
		t.Chunks = nil
		if m.Version == vstack.ManifestTable {
			t.Init = vstack.ChunkRef{}
		}
		bare.Tracks[i] = t
	}
	return &bare
}

// AppendChunks appends the references of all tracks: in version 1 each track's behind
// their number, a u32; in version 2 as vstack.AppendTable has them.
func AppendChunks(b []byte, m *vstack.Manifest) ([]byte, error) {
	if m.Version == vstack.ManifestTable {
		return vstack.AppendTable(b, m)
	}
	for _, t := range m.Tracks {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Chunks)))
		for _, c := range t.Chunks {
			b = appendRef(b, c)
		}
	}
	return b, nil
}

// ReadChunks gives the tracks of a bare manifest what AppendChunks wrote, and wants
// nothing behind it.
func ReadChunks(b []byte, m *vstack.Manifest) error {
	if m.Version == vstack.ManifestTable {
		return vstack.ReadTable(b, m)
	}
	if len(m.Tracks) > vstack.MaxTracks {
		return fmt.Errorf("chunks of video %s: %w: %d tracks", m.Video, vstack.ErrCorrupt, len(m.Tracks))
	}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if len(b) < 4 || t.Chunks != nil {
			return fmt.Errorf("chunks of video %s: %w: track %d", m.Video, vstack.ErrCorrupt, t.Number)
		}
		n := int(binary.LittleEndian.Uint32(b))
		b = b[4:]
		if n > len(b)/refSize {
			return fmt.Errorf("chunks of video %s: %w: track %d has %d in %d bytes", m.Video, vstack.ErrCorrupt, t.Number, n, len(b))
		}
		t.Chunks = make([]vstack.ChunkRef, n)
		for k := range t.Chunks {
			if b[refSize-1] > 1 {
				return fmt.Errorf("chunks of video %s: %w: track %d, chunk %d", m.Video, vstack.ErrCorrupt, t.Number, k)
			}
			t.Chunks[k] = refOf(b)
			b = b[refSize:]
		}
	}
	if len(b) != 0 {
		return fmt.Errorf("chunks of video %s: %w: %d bytes behind them", m.Video, vstack.ErrCorrupt, len(b))
	}
	return nil
}

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

// Digest hashes a manifest: its head as JSON, its chunks in binary, because a long film
// has tens of thousands of them. A nil manifest has the zero digest.
func Digest(m *vstack.Manifest) (d [sha256.Size]byte, err error) {
	if m == nil {
		return d, nil
	}
	head, err := json.Marshal(Bare(m))
	if err != nil {
		return d, fmt.Errorf("digest a manifest: %w", err)
	}
	return DigestHead(head, m)
}

// DigestHead is Digest for who has the JSON of the bare manifest.
func DigestHead(head []byte, m *vstack.Manifest) (d [sha256.Size]byte, err error) {
	h := sha256.New()
	h.Write(head)
	var buf []byte
	if m.Version == vstack.ManifestTable {
		if buf, err = vstack.AppendTable(nil, m); err != nil {
			return d, fmt.Errorf("digest a manifest: %w", err)
		}
		h.Write(buf)
		h.Sum(d[:0])
		return d, nil
	}
	for _, t := range m.Tracks {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(t.Chunks))))
		for _, c := range t.Chunks {
			buf = appendRef(buf[:0], c)
			h.Write(buf)
		}
	}
	h.Sum(d[:0])
	return d, nil
}
