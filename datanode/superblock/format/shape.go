package format

import (
	"encoding/binary"

	"github.com/vstack/vstack/internal/vstack"
)

// Version is that of a superblock file and of every record in it, and the highest that a
// store's identity file allows.
type Version uint32

const (
	// V1 is the version of stores from before there were feature levels.
	V1 Version = 1
	// V2 has leaf tables behind data, and room for fragments and tags; from
	// vstack.LevelFormats on.
	V2 Version = 2
	// V3 is V2 with fragments: a program that only knows V2 refuses them when it meets one,
	// and what it does not open it cannot lose. From vstack.LevelFragments on.
	V3 Version = 3
	// V4 is V3 with sealed records, for stores with a data key alone: no level brings a store
	// there.
	V4 Version = 4
	// NewestPlain is the highest version of stores without a data key.
	NewestPlain = V3
	// Newest is the highest version that this program reads.
	Newest = V4
)

// FixedLen is the length of a record header before its table of blocks.
func (v Version) FixedLen() int64 {
	if v == V1 {
		return 160
	}
	return MaxFixedLen
}

// EntryLen is that of a footer entry: a fixed part and an offset.
func (v Version) EntryLen() int { return int(v.FixedLen()) + 8 }

// FooterLen is what a footer of n entries takes, trailer included.
func (v Version) FooterLen(n int) int64 { return int64(n)*int64(v.EntryLen()) + TrailerLen }

// Shape is what decides upon a record's length.
type Shape struct {
	Version Version
	Data    uint32 // bytes
	Leaves  uint32 // bytes of the leaf table behind the data; 0 for none
	Tagged  bool   // each block has a tag beside its CRC
}

// dataBlocks is how many blocks the data has, Blocks how many with the leaf table, which is
// one more.
func (s Shape) dataBlocks() int {
	return int((int64(s.Data) + vstack.BlockSize - 1) / vstack.BlockSize)
}

func (s Shape) Blocks() int {
	if s.Leaves > 0 {
		return s.dataBlocks() + 1
	}
	return s.dataBlocks()
}

// stride is what the header has for each block.
func (s Shape) stride() int64 {
	if s.Tagged {
		return 4 + TagLen
	}
	return 4
}

// HeaderLen is the length of the record's header with its table of blocks, padded: the
// data starts there.
func (s Shape) HeaderLen() int64 {
	n := s.tableEnd()
	if s.Sealed() {
		n += StretchLen
	}
	return Align(n, RecordAlign)
}

// tableEnd is where the table of blocks ends; of a sealed record the stretch is next.
func (s Shape) tableEnd() int64 { return s.Version.FixedLen() + s.stride()*int64(s.Blocks()) }

// Sealed reports whether the data is encrypted.
func (s Shape) Sealed() bool { return s.Version >= V4 && s.Tagged }

// LeavesOff is where the leaf table starts, from the start of the record.
func (s Shape) LeavesOff() int64 { return s.HeaderLen() + Align(int64(s.Data), RecordAlign) }

// Len is what the record takes in the file, padded.
func (s Shape) Len() int64 { return s.LeavesOff() + Align(int64(s.Leaves), RecordAlign) }

// BlockCRC is the CRC of block i in an encoded header; the leaf table's is the last.
func (s Shape) BlockCRC(b []byte, i int) uint32 {
	return binary.LittleEndian.Uint32(b[s.Version.FixedLen()+s.stride()*int64(i):])
}

// Tag is the tag of block i in an encoded header of a tagged record.
func (s Shape) Tag(b []byte, i int) (t Tag) {
	copy(t[:], b[s.Version.FixedLen()+s.stride()*int64(i)+4:])
	return t
}

// TagLen is the length of a tag, which authenticates an encrypted block, StretchLen that of
// what a stretch of the log begins with.
const (
	TagLen     = 16
	StretchLen = 32
)

// Tag authenticates a block.
type Tag [TagLen]byte

// Stretch is the random bytes that were drawn when a file was opened for append: with the
// data key they make the key of what was sealed from then on.
type Stretch [StretchLen]byte

// Sealing says how a record's data was sealed: which of the stretch's records it is, from 1,
// and the tag of each block, the leaf table's last. It stays with the bytes wherever they go.
type Sealing struct {
	Stretch Stretch
	Number  uint64
	Tags    []Tag
}

// Sealing reads that of an encoded header, which has been checked; nil if it is not sealed.
func (s Shape) Sealing(b []byte) *Sealing {
	if !s.Sealed() {
		return nil
	}
	out := &Sealing{Number: binary.LittleEndian.Uint64(b[numberOff:]), Tags: make([]Tag, s.Blocks())}
	copy(out.Stretch[:], b[s.tableEnd():])
	for i := range out.Tags {
		out.Tags[i] = s.Tag(b, i)
	}
	return out
}

// numberOff is where a sealed record's number is, in the fixed part.
const numberOff = 176

// BlockCRCs computes the CRCs of data's blocks, and of the leaf table where there is one.
func BlockCRCs(data, leaves []byte) []uint32 {
	s := Shape{Version: NewestPlain, Data: uint32(len(data)), Leaves: uint32(len(leaves))}
	out := make([]uint32, 0, s.Blocks())
	for len(data) > 0 {
		n := min(len(data), vstack.BlockSize)
		out = append(out, CRC(data[:n]))
		data = data[n:]
	}
	if len(leaves) > 0 {
		out = append(out, CRC(leaves))
	}
	return out
}
