package vstack

import (
	"encoding/binary"
	"fmt"
)

// The table of a manifest of version 2; docs/format/manifest.md has its bytes.
const (
	tableMagic    = "VMT\x02"
	tableHeader   = 16 // magic, tracks u16, 0 u16, chunks u32, fragments u32
	tableTrack    = 8  // number u16, flags u8, 0 u8, chunks u32
	tableChunk    = 88 // id, leaf root, size u32, start i64, duration i64, fragments u16, flags u8, 0 u8
	tableFragment = 17 // size u32, lead u32, duration i64, flags u8

	trackHasInit = 1 << 0

	flagKeyframe = 1 << 0
	flagCutPoint = 1 << 1

	// MaxManifest bounds the table of a manifest, in bytes.
	MaxManifest = 16 << 20
	// maxChunkFragments is what the count of a chunk's row holds.
	maxChunkFragments = 1<<16 - 1
)

// TableSize is the size that the manifest's table has, and the fragments in it.
func TableSize(m *Manifest) (size, fragments int) {
	size = tableHeader
	for i := range m.Tracks {
		t := &m.Tracks[i]
		size += tableTrack + tableChunk*len(t.Chunks)
		if !t.Init.ID.IsZero() {
			size += tableChunk
		}
		fragments += len(t.Init.Fragments)
		for k := range t.Chunks {
			fragments += len(t.Chunks[k].Fragments)
		}
	}
	return size + tableFragment*fragments, fragments
}

// AppendTable appends the chunks of all tracks. Sequence numbers are not in it: an init
// chunk has 0, the others count from 1.
func AppendTable(b []byte, m *Manifest) ([]byte, error) {
	size, fragments := TableSize(m)
	if size > MaxManifest || len(m.Tracks) > MaxTracks {
		return b, fmt.Errorf("table of video %s: %w: %d bytes and %d tracks, at most %d and %d",
			m.Video, ErrTooLarge, size, len(m.Tracks), MaxManifest, MaxTracks)
	}
	chunks := 0
	for i := range m.Tracks {
		chunks += len(m.Tracks[i].Chunks)
		if !m.Tracks[i].Init.ID.IsZero() {
			chunks++
		}
	}
	le := binary.LittleEndian
	b = append(b, tableMagic...)
	b = le.AppendUint16(b, uint16(len(m.Tracks)))
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, uint32(chunks))
	b = le.AppendUint32(b, uint32(fragments))
	for i := range m.Tracks {
		var err error
		if b, err = appendTrack(b, &m.Tracks[i]); err != nil {
			return b, fmt.Errorf("table of video %s: track %d: %w", m.Video, m.Tracks[i].Number, err)
		}
	}
	return b, nil
}

func appendTrack(b []byte, t *Track) ([]byte, error) {
	b = binary.LittleEndian.AppendUint16(b, t.Number)
	if t.Init.ID.IsZero() {
		b = append(b, 0, 0)
	} else {
		b = append(b, trackHasInit, 0)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Chunks)))
	var err error
	if !t.Init.ID.IsZero() {
		if b, err = appendRow(b, &t.Init, 0); err != nil {
			return b, err
		}
	}
	for i := range t.Chunks {
		if b, err = appendRow(b, &t.Chunks[i], uint32(i+1)); err != nil {
			return b, err
		}
	}
	return b, nil
}

func appendRow(b []byte, c *ChunkRef, seq uint32) ([]byte, error) {
	if c.Seq != seq || len(c.Fragments) > maxChunkFragments {
		return b, fmt.Errorf("chunk %d: %w: it is number %d of its track, with %d fragments", c.Seq, ErrInvalid, seq, len(c.Fragments))
	}
	le := binary.LittleEndian
	b = append(b, c.ID[:]...)
	b = append(b, c.Leaves[:]...)
	b = le.AppendUint32(b, c.Size)
	b = le.AppendUint64(b, uint64(c.Start))
	b = le.AppendUint64(b, uint64(c.Duration))
	b = le.AppendUint16(b, uint16(len(c.Fragments)))
	b = append(b, flags(c.Keyframe, false), 0)
	for _, f := range c.Fragments {
		b = le.AppendUint32(b, f.Size)
		b = le.AppendUint32(b, f.Lead)
		b = le.AppendUint64(b, uint64(f.Duration))
		b = append(b, flags(f.Keyframe, f.CutPoint))
	}
	return b, nil
}

func flags(keyframe, cut bool) (f byte) {
	if keyframe {
		f |= flagKeyframe
	}
	if cut {
		f |= flagCutPoint
	}
	return f
}

// bare wants tracks without chunks.
func bare(m *Manifest) error {
	for i := range m.Tracks {
		if t := &m.Tracks[i]; t.Chunks != nil || !t.Init.ID.IsZero() {
			return fmt.Errorf("table of video %s: %w: track %d has chunks beside it", m.Video, ErrCorrupt, t.Number)
		}
	}
	return nil
}

// ReadTable gives the tracks of a manifest, which have no chunks yet, what AppendTable
// wrote of them, and wants nothing else in b. It keeps nothing of b.
func ReadTable(b []byte, m *Manifest) error {
	r := tableReader{rest: b}
	if err := bare(m); err != nil {
		return err
	}
	if err := r.read(m); err != nil {
		return fmt.Errorf("table of video %s, %d bytes: %w", m.Video, len(b), err)
	}
	return nil
}

// tableReader takes rows off a table. Each kind of row has one allocation for all, whose
// size the header says and the length of the table bounds.
type tableReader struct {
	rest      []byte
	chunks    []ChunkRef // free ones
	fragments []Fragment // free ones
}

func (r *tableReader) read(m *Manifest) error {
	le := binary.LittleEndian
	if len(r.rest) < tableHeader || len(r.rest) > MaxManifest || string(r.rest[:4]) != tableMagic || le.Uint16(r.rest[6:]) != 0 {
		return fmt.Errorf("%w: header", ErrCorrupt)
	}
	tracks, chunks, fragments := int(le.Uint16(r.rest[4:])), int(le.Uint32(r.rest[8:])), int(le.Uint32(r.rest[12:]))
	if want := tableHeader + tableTrack*tracks + tableChunk*chunks + tableFragment*fragments; tracks != len(m.Tracks) || want != len(r.rest) {
		return fmt.Errorf("%w: %d tracks, %d chunks, %d fragments for %d tracks", ErrCorrupt, tracks, chunks, fragments, len(m.Tracks))
	}
	r.rest = r.rest[tableHeader:]
	r.chunks, r.fragments = make([]ChunkRef, chunks), make([]Fragment, fragments)
	for i := range m.Tracks {
		if err := r.track(&m.Tracks[i]); err != nil {
			return fmt.Errorf("track %d: %w", m.Tracks[i].Number, err)
		}
	}
	if len(r.rest)+len(r.chunks)+len(r.fragments) != 0 {
		return fmt.Errorf("%w: %d bytes behind it", ErrCorrupt, len(r.rest))
	}
	return nil
}

func (r *tableReader) track(t *Track) error {
	if len(r.rest) < tableTrack {
		return fmt.Errorf("%w: it ends early", ErrCorrupt)
	}
	number, has, zero := binary.LittleEndian.Uint16(r.rest), r.rest[2], r.rest[3]
	n := int(binary.LittleEndian.Uint32(r.rest[4:]))
	r.rest = r.rest[tableTrack:]
	if number != t.Number || has > trackHasInit || zero != 0 || n+int(has) > len(r.chunks) {
		return fmt.Errorf("%w: it says number %d, flags %d, %d chunks", ErrCorrupt, number, has, n)
	}
	rows := r.chunks[: n+int(has) : n+int(has)]
	r.chunks = r.chunks[n+int(has):]
	for i := range rows {
		rows[i].Seq = uint32(i + 1 - int(has))
		if err := r.row(&rows[i]); err != nil {
			return fmt.Errorf("chunk %d: %w", rows[i].Seq, err)
		}
	}
	if has != 0 {
		t.Init, rows = rows[0], rows[1:]
		if t.Init.ID.IsZero() {
			return fmt.Errorf("%w: its init chunk has no id", ErrCorrupt)
		}
	}
	t.Chunks = rows
	return nil
}

func (r *tableReader) row(c *ChunkRef) error {
	le, b := binary.LittleEndian, r.rest
	if len(b) < tableChunk || b[86] > flagKeyframe || b[87] != 0 {
		return fmt.Errorf("%w: row", ErrCorrupt)
	}
	n := int(le.Uint16(b[84:]))
	c.ID, c.Leaves = ChunkID(b[0:32]), LeafRoot(b[32:64])
	c.Size, c.Start, c.Duration = le.Uint32(b[64:]), int64(le.Uint64(b[68:])), int64(le.Uint64(b[76:]))
	c.Keyframe = b[86]&flagKeyframe != 0
	b = b[tableChunk:]
	if n > len(r.fragments) || n*tableFragment > len(b) {
		return fmt.Errorf("%w: %d fragments", ErrCorrupt, n)
	}
	if n > 0 {
		c.Fragments, r.fragments = r.fragments[:n:n], r.fragments[n:]
	}
	for i := range c.Fragments {
		if b[16] > flagKeyframe|flagCutPoint {
			return fmt.Errorf("%w: flags %d of fragment %d", ErrCorrupt, b[16], i)
		}
		c.Fragments[i] = Fragment{
			Size: le.Uint32(b), Lead: le.Uint32(b[4:]), Duration: int64(le.Uint64(b[8:])),
			Keyframe: b[16]&flagKeyframe != 0, CutPoint: b[16]&flagCutPoint != 0,
		}
		b = b[tableFragment:]
	}
	r.rest = b
	return nil
}
