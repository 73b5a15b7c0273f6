package rows

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/published"
	"github.com/vstack/vstack/metastore/manifest"
)

// AppendBlob appends a manifest as it is kept apart from its row.
func AppendBlob(b []byte, m *vstack.Manifest) ([]byte, error) {
	return published.Append(b, manifest.Bare(m), m)
}

// headOf is the JSON in a blob that is one, as it was made.
func headOf(b []byte) []byte { return b[4 : 4+binary.LittleEndian.Uint32(b)] }

// DecodeBlob reads what AppendBlob wrote, and holds it to its digest.
func DecodeBlob(b []byte, want [32]byte) (*vstack.Manifest, error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, fmt.Errorf("%w: a manifest of %d bytes", vstack.ErrCorrupt, len(b))
	}
	m, head := &vstack.Manifest{}, headOf(b)
	if err := m.UnmarshalJSON(head); err != nil {
		return nil, err
	}
	if err := manifest.ReadChunks(b[4+len(head):], m); err != nil {
		return nil, err
	}
	got, err := manifest.DigestHead(head, m)
	if err == nil && got != want {
		err = fmt.Errorf("%w: manifest has the digest %s, want %s", vstack.ErrCorrupt, vstack.ChunkID(got).Short(), vstack.ChunkID(want).Short())
	}
	return m, err
}

// manifestKey is what stands between a row's JSON and that of its bare manifest.
const manifestKey = `,"manifest":`

// Splice appends the form of a published video that is whole, its manifest in it, of the row and
// the blob: byte for byte what published.Append makes of a row with its bare manifest.
func Splice(b []byte, row, blob []byte) ([]byte, error) {
	if len(row) < 2 || row[len(row)-1] != '}' || len(blob) < 4 || uint64(binary.LittleEndian.Uint32(blob)) > uint64(len(blob)-4) {
		return b, fmt.Errorf("%w: a row of %d bytes and a manifest of %d", vstack.ErrCorrupt, len(row), len(blob))
	}
	head, chunks := blob[4:4+binary.LittleEndian.Uint32(blob)], blob[4+binary.LittleEndian.Uint32(blob):]
	b = binary.LittleEndian.AppendUint32(b, uint32(len(row)+len(manifestKey)+len(head)))
	b = append(b, row[:len(row)-1]...)
	b = append(append(append(b, manifestKey...), head...), '}')
	return append(b, chunks...), nil
}

// DecodePublished reads a published video with its manifest.
func DecodePublished(b []byte) (*Video, error) {
	r := &Video{}
	err := published.Decode(b, r, func() *vstack.Manifest { return r.Manifest })
	return r, err
}

// partedHead is the bytes of a parted video before its row: the digest, and the size of the blob
// as a u32, little-endian.
const partedHead = 32 + 4

// AppendParted appends the form of a published video whose manifest is kept apart.
func AppendParted(b []byte, r *Video) ([]byte, error) {
	row, err := json.Marshal(r)
	b = append(b, r.digest[:]...)
	b = binary.LittleEndian.AppendUint32(b, r.size)
	return append(b, row...), err
}

// Parted is that form, taken apart.
type Parted struct {
	Digest [32]byte
	Size   uint32 // of the blob
	Row    []byte // JSON
}

// ParseParted takes one apart; it goes on to be of b.
func ParseParted(b []byte) (p Parted, err error) {
	if len(b) < partedHead+2 {
		return p, fmt.Errorf("%w: a video without its manifest of %d bytes", vstack.ErrCorrupt, len(b))
	}
	copy(p.Digest[:], b)
	p.Size, p.Row = binary.LittleEndian.Uint32(b[32:]), b[partedHead:]
	return p, nil
}

// WholeSize is the size of the form that Splice makes.
func (p *Parted) WholeSize() int64 {
	return int64(len(p.Row)) + int64(len(manifestKey)) + int64(p.Size)
}

// Decode reads the row.
func (p *Parted) Decode() (*Video, error) {
	r := &Video{}
	if err := command.Strict(p.Row, r); err != nil {
		return nil, err
	}
	if r.Manifest != nil || p.Digest == [32]byte{} {
		return nil, fmt.Errorf("%w: a video without its manifest that has one, or no digest of it", vstack.ErrCorrupt)
	}
	r.digest, r.size = p.Digest, p.Size
	return r, nil
}
