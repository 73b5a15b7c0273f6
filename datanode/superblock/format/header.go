package format

import (
	"encoding/binary"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

const (
	FlagVoted    = 1 << 0
	FlagGroupEnd = 1 << 1 // last record of its group
	FlagMoved    = 1 << 2 // written by compaction, at an LSN of old

	blocksTagged = 1 << 0 // of version 2's flags of blocks
)

// Header is a record's header without the table of blocks.
type Header struct {
	Record     // Data and Leaves are not filled; Sealing is not by a decoder
	Version    Version
	DataLen    uint32 // bytes
	LeavesLen  uint32 // bytes of the leaf table behind the data
	Tagged     bool
	LSN        vstack.LSN
	Group      int64  // file offset at which the record's group starts
	BatchIndex uint16 // place in its batch, from 0
	BatchCount uint16 // records of the batch
	Flags      uint16 // FlagGroupEnd and FlagMoved; FlagVoted is Voted
	Salt       uint64 // of the file
}

// Shape is the record's.
func (h *Header) Shape() Shape { return Shape{h.Version, h.DataLen, h.LeavesLen, h.Tagged} }

// Len is what the record takes in the file, padded.
func (h *Header) Len() int64 { return h.Shape().Len() }

// Encode writes h and the table of block CRCs and tags, all covered by the header's CRC,
// into b, which is zeroed and HeaderLen of its shape long. tags is nil unless h is Tagged;
// a sealed record's are those of its Sealing.
func (h *Header) Encode(b []byte, blocks []uint32, tags []Tag) {
	le := binary.LittleEndian
	flags := h.Flags &^ FlagVoted
	if h.Voted {
		flags |= FlagVoted
	}
	le.PutUint32(b[0:], RecordMagic)
	b[4], b[5] = byte(h.Version), byte(h.Kind)
	le.PutUint16(b[6:], flags)
	le.PutUint64(b[8:], uint64(h.LSN))
	le.PutUint64(b[16:], uint64(h.Group))
	le.PutUint16(b[24:], h.BatchIndex)
	le.PutUint16(b[26:], h.BatchCount)
	le.PutUint16(b[28:], h.Slot.Track)
	le.PutUint16(b[30:], uint16(h.PG))
	copy(b[32:48], h.Slot.Video[:])
	le.PutUint32(b[48:], h.Slot.Seq)
	le.PutUint32(b[52:], h.Ballot.Round)
	le.PutUint64(b[56:], uint64(h.Ballot.Incarnation))
	copy(b[64:80], h.Ballot.Proposer[:])
	le.PutUint64(b[80:], uint64(h.Epoch))
	copy(b[88:104], h.Upload[:])
	copy(b[104:136], h.Value.Chunk[:])
	le.PutUint32(b[136:], h.Value.Size)
	le.PutUint32(b[140:], h.DataLen)
	le.PutUint64(b[144:], h.Salt)
	shape := h.Shape()
	fixed := shape.Version.FixedLen()
	if h.Version >= V2 {
		b[160], b[161] = h.Piece.K, h.Piece.M
		le.PutUint16(b[162:], uint16(h.Piece.I))
		le.PutUint32(b[164:], h.LeavesLen)
		le.PutUint32(b[168:], h.KeyGeneration)
		if h.Tagged {
			le.PutUint32(b[172:], blocksTagged)
		}
	}
	if shape.Sealed() {
		tags = h.Sealing.Tags
		le.PutUint64(b[numberOff:], h.Sealing.Number)
		copy(b[shape.tableEnd():], h.Sealing.Stretch[:])
	}
	for i, c := range blocks {
		at := fixed + shape.stride()*int64(i)
		le.PutUint32(b[at:], c)
		if h.Tagged {
			copy(b[at+4:], tags[i][:])
		}
	}
	le.PutUint32(b[156:], headerCRC(b))
}

// headerCRC covers an encoded header but for the CRC itself.
func headerCRC(b []byte) uint32 { return crcAdd(CRC(b[:156]), b[160:]) }

// DecodeFixed reads the fixed part of a record of a file's version without its CRC, which
// the caller has checked or has another check for.
func (h *Header) DecodeFixed(b []byte, v Version) error { return h.decode(b, v, RecordMagic) }

func (h *Header) decode(b []byte, v Version, magic uint32) error {
	le := binary.LittleEndian
	if int64(len(b)) < v.FixedLen() || le.Uint32(b) != magic || Version(b[4]) != v {
		return fmt.Errorf("record header: %w: magic or version", ErrMalformed)
	}
	*h = Header{Version: v, DataLen: le.Uint32(b[140:]), LSN: vstack.LSN(le.Uint64(b[8:])), Group: int64(le.Uint64(b[16:])),
		BatchIndex: le.Uint16(b[24:]), BatchCount: le.Uint16(b[26:]), Flags: le.Uint16(b[6:]), Salt: le.Uint64(b[144:])}
	h.Kind = Kind(b[5])
	h.Voted = h.Flags&FlagVoted != 0
	h.Slot.Track, h.PG = le.Uint16(b[28:]), vstack.PG(le.Uint16(b[30:]))
	copy(h.Slot.Video[:], b[32:48])
	h.Slot.Seq, h.Ballot.Round = le.Uint32(b[48:]), le.Uint32(b[52:])
	h.Ballot.Incarnation = vstack.Incarnation(le.Uint64(b[56:]))
	copy(h.Ballot.Proposer[:], b[64:80])
	h.Epoch = vstack.Epoch(le.Uint64(b[80:]))
	copy(h.Upload[:], b[88:104])
	copy(h.Value.Chunk[:], b[104:136])
	h.Value.Size = le.Uint32(b[136:])
	if v >= V2 {
		h.Piece = vstack.Piece{Scheme: vstack.Scheme{K: b[160], M: b[161]}, I: b[162]}
		if b[163] != 0 {
			return fmt.Errorf("record header: %w: fragment %d", ErrMalformed, le.Uint16(b[162:]))
		}
		h.LeavesLen, h.KeyGeneration = le.Uint32(b[164:]), le.Uint32(b[168:])
		flags := le.Uint32(b[172:])
		if h.Tagged = flags&blocksTagged != 0; flags&^blocksTagged != 0 {
			return fmt.Errorf("record header: %w: flags %x of blocks", ErrMalformed, flags)
		}
	}
	return h.check()
}

// check wants lengths that fit the kind, and a place in a batch and a group.
func (h *Header) check() error {
	fragment := h.Kind == KindFragment || h.Kind == KindDropFragment
	switch {
	case h.Kind == 0 || h.Kind >= kindEnd || h.Version == V1 && h.Kind > KindClaim:
		return fmt.Errorf("record header: %w: kind %d", ErrMalformed, h.Kind)
	case h.Kind == KindChunk && (h.DataLen == 0 || h.DataLen > vstack.MaxChunkSize || h.DataLen != h.Value.Size):
		return fmt.Errorf("record header: %w: %d bytes of data, value of %d", ErrMalformed, h.DataLen, h.Value.Size)
	case fragment && h.Piece.Check() != nil || !fragment && !h.Piece.IsChunk():
		return fmt.Errorf("record header: %w: piece %s of a %s record", ErrMalformed, h.Piece, h.Kind)
	case h.Kind == KindFragment && (h.Value.Size == 0 || h.Value.Size > vstack.MaxChunkSize || h.DataLen != h.Piece.Size(h.Value.Size)):
		return fmt.Errorf("record header: %w: %d bytes of data, fragment %s of %d", ErrMalformed, h.DataLen, h.Piece, h.Value.Size)
	case !h.Kind.HasData() && (h.DataLen != 0 || h.LeavesLen != 0 || h.Tagged):
		return fmt.Errorf("record header: %w: %d bytes of data in a %s record", ErrMalformed, h.DataLen, h.Kind)
	case h.Version >= V4 && h.Tagged != (h.KeyGeneration != 0):
		return fmt.Errorf("record header: %w: key generation %d, tagged %t", ErrMalformed, h.KeyGeneration, h.Tagged)
	case h.LeavesLen != 0 && int(h.LeavesLen) != leavesLen(h.Value.Size):
		return fmt.Errorf("record header: %w: a leaf table of %d bytes, chunk of %d", ErrMalformed, h.LeavesLen, h.Value.Size)
	case h.BatchIndex >= h.BatchCount || h.Group < FileHeaderLen || h.Group%GroupAlign != 0 || h.LSN == 0:
		return fmt.Errorf("record header: %w: batch %d of %d, group %d, LSN %d", ErrMalformed, h.BatchIndex, h.BatchCount, h.Group, h.LSN)
	}
	return nil
}

// leavesLen is the length of the leaf table of a chunk.
func leavesLen(size uint32) int { return vstack.Leaves(size) * len(vstack.LeafRoot{}) }

// Decode reads a header with its table from b, which holds at least HeaderLen bytes,
// and checks version, CRC and salt.
func (h *Header) Decode(b []byte, v Version, salt uint64) error {
	if err := h.DecodeFixed(b, v); err != nil {
		return err
	}
	n := h.Shape().HeaderLen()
	if int64(len(b)) < n {
		return fmt.Errorf("record header: %w: %d bytes, want %d", ErrMalformed, len(b), n)
	}
	if got, want := headerCRC(b[:n]), binary.LittleEndian.Uint32(b[156:]); got != want {
		return fmt.Errorf("record header: %w: CRC %08x, want %08x", ErrMalformed, got, want)
	}
	if h.Salt != salt {
		return fmt.Errorf("record header: %w: salt of another file", ErrMalformed)
	}
	return nil
}
