package index

import (
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// Entry says where the bytes of a piece are: 24 bytes beside a key of 32.
type Entry struct {
	lsn     [2]uint32 // low, high: a uint64 would have the cell be padded
	File    uint32
	off     uint32 // in units of format.RecordAlign
	size    uint32 // of the whole chunk, in bytes
	k, m, i uint8
	flags   uint8
}

const (
	badBit    = 1 << 0
	leavesBit = 1 << 1 // with a leaf table behind the data
	taggedBit = 1 << 2 // with a tag for each block
	doubtBit  = 1 << 3 // its leaf table is known not to be that of its bytes

	versionShift = 4 // above it, the record's format version
)

// EntryOf describes a record of a file, at off.
func EntryOf(h *format.Header, file uint32, off int64) Entry {
	flags := uint8(h.Version) << versionShift
	if h.LeavesLen > 0 {
		flags |= leavesBit
	}
	if h.Tagged {
		flags |= taggedBit
	}
	return Entry{lsn: [2]uint32{uint32(h.LSN), uint32(h.LSN >> 32)}, File: file, off: uint32(off / format.RecordAlign),
		size: h.Value.Size, k: h.Piece.K, m: h.Piece.M, i: h.Piece.I, flags: flags}
}

// Piece is what the record holds of the chunk.
func (e Entry) Piece() vstack.Piece {
	return vstack.Piece{Scheme: vstack.Scheme{K: e.k, M: e.m}, I: e.i}
}

func (e Entry) pieceKey() uint32 { return uint32(e.k)<<16 | uint32(e.m)<<8 | uint32(e.i) }

// Shape is the record's.
func (e Entry) Shape() format.Shape {
	s := format.Shape{Version: format.Version(e.flags >> versionShift), Data: e.DataLen(), Tagged: e.flags&taggedBit != 0}
	if e.flags&leavesBit != 0 {
		s.Leaves = uint32(vstack.Leaves(e.size) * len(vstack.LeafRoot{}))
	}
	return s
}

// HasLeaves reports whether the record has a leaf table that nobody found wrong.
func (e Entry) HasLeaves() bool { return e.flags&(leavesBit|doubtBit) == leavesBit }

// LSN is the record's.
func (e Entry) LSN() vstack.LSN { return vstack.LSN(e.lsn[0]) | vstack.LSN(e.lsn[1])<<32 }

// Size is the whole chunk's, DataLen the piece's, in bytes.
func (e Entry) Size() uint32    { return e.size }
func (e Entry) DataLen() uint32 { return e.Piece().Size(e.size) }

// Bad reports whether the bytes are known to fail their checksum, or not to be the chunk's.
func (e Entry) Bad() bool { return e.flags&badBit != 0 }

// Offset is where the record starts in its file.
func (e Entry) Offset() int64 { return int64(e.off) * format.RecordAlign }
