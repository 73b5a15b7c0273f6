package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/vstack/vstack/internal/vstack"
)

// The sizes of docs/format/superblock.md.
const (
	Version       = 1
	RecordAlign   = 64   // records start on it, inside a group
	GroupAlign    = 4096 // groups start on it: no write touches a durable page again
	FileHeaderLen = 4096 // of which 64 bytes carry meaning
	FixedLen      = 160  // of a record header, before the table of block CRCs
	EntryLen      = FixedLen + 8
	TrailerLen    = 64
	IdentityLen   = 64

	MinFile = 64 << 10
	MaxFile = 64 << 30
	// MaxHeaderLen is HeaderLen of the largest chunk.
	MaxHeaderLen = 704
	// MaxEntries bounds the records of one file, so the footer that is held in memory
	// until the file is sealed.
	MaxEntries = 1 << 17
)

const (
	// RecordMagic opens every record header.
	RecordMagic   = 0x43525356         // "VSRC"
	fileMagic     = 0x4b4c42534b545356 // "VSTKSBLK"
	trailerMagic  = 0x544f4f464b545356 // "VSTKFOOT"
	identityMagic = 0x524f54534b545356 // "VSTKSTOR"
)

const (
	FlagVoted    = 1 << 0
	FlagGroupEnd = 1 << 1 // last record of its group
	FlagMoved    = 1 << 2 // written by compaction, at an LSN of old
)

// ErrMalformed is the reason of every decoder's refusal; callers turn it into a finding.
var ErrMalformed = errors.New("not valid")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC is CRC32C.
func CRC(b []byte) uint32              { return crc32.Checksum(b, castagnoli) }
func crcAdd(c uint32, b []byte) uint32 { return crc32.Update(c, castagnoli, b) }

// Align rounds n up to a multiple of to.
func Align(n, to int64) int64 { return (n + to - 1) / to * to }

// blocksOf is how many blocks n bytes of data have.
func blocksOf(n uint32) int { return int((int64(n) + vstack.BlockSize - 1) / vstack.BlockSize) }

// HeaderLen is the length of a record's header with its table, padded.
func HeaderLen(dataLen uint32) int64 { return Align(FixedLen+4*int64(blocksOf(dataLen)), RecordAlign) }

// RecordLen is what a record takes in the file, padded.
func RecordLen(dataLen uint32) int64 {
	return HeaderLen(dataLen) + Align(int64(dataLen), RecordAlign)
}

// Header is a record's header without the table.
type Header struct {
	Record            // Data is not filled
	DataLen    uint32 // bytes
	LSN        vstack.LSN
	Group      int64  // file offset at which the record's group starts
	BatchIndex uint16 // place in its batch, from 0
	BatchCount uint16 // records of the batch
	Flags      uint16 // FlagGroupEnd and FlagMoved; FlagVoted is Voted
	Salt       uint64 // of the file
}

// Encode writes h and the table of block CRCs, both covered by the header's CRC, into
// b, which is zeroed and HeaderLen long.
func (h *Header) Encode(b []byte, blocks []uint32) {
	le := binary.LittleEndian
	flags := h.Flags &^ FlagVoted
	if h.Voted {
		flags |= FlagVoted
	}
	le.PutUint32(b[0:], RecordMagic)
	b[4], b[5] = Version, byte(h.Kind)
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
	for i, c := range blocks {
		le.PutUint32(b[FixedLen+4*i:], c)
	}
	le.PutUint32(b[156:], crcAdd(CRC(b[:156]), b[FixedLen:]))
}

// DecodeFixed reads the fixed part without its CRC, which the caller has checked or
// has another check for.
func (h *Header) DecodeFixed(b []byte) error {
	le := binary.LittleEndian
	if len(b) < FixedLen || le.Uint32(b) != RecordMagic || b[4] != Version {
		return fmt.Errorf("record header: %w: magic or version", ErrMalformed)
	}
	*h = Header{DataLen: le.Uint32(b[140:]), LSN: vstack.LSN(le.Uint64(b[8:])), Group: int64(le.Uint64(b[16:])),
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
	switch {
	case h.Kind == 0 || h.Kind >= kindEnd:
		return fmt.Errorf("record header: %w: kind %d", ErrMalformed, h.Kind)
	case h.Kind == KindChunk && (h.DataLen == 0 || h.DataLen > vstack.MaxChunkSize || h.DataLen != h.Value.Size):
		return fmt.Errorf("record header: %w: %d bytes of data, value of %d", ErrMalformed, h.DataLen, h.Value.Size)
	case h.Kind != KindChunk && h.DataLen != 0:
		return fmt.Errorf("record header: %w: %d bytes of data in a %s record", ErrMalformed, h.DataLen, h.Kind)
	case h.BatchIndex >= h.BatchCount || h.Group < FileHeaderLen || h.Group%GroupAlign != 0 || h.LSN == 0:
		return fmt.Errorf("record header: %w: batch %d of %d, group %d, LSN %d", ErrMalformed, h.BatchIndex, h.BatchCount, h.Group, h.LSN)
	}
	return nil
}

// Decode reads a header with its table from b, which holds at least HeaderLen bytes,
// and checks CRC and salt.
func (h *Header) Decode(b []byte, salt uint64) error {
	if err := h.DecodeFixed(b); err != nil {
		return err
	}
	n := HeaderLen(h.DataLen)
	if int64(len(b)) < n {
		return fmt.Errorf("record header: %w: %d bytes, want %d", ErrMalformed, len(b), n)
	}
	if got, want := crcAdd(CRC(b[:156]), b[FixedLen:n]), binary.LittleEndian.Uint32(b[156:]); got != want {
		return fmt.Errorf("record header: %w: CRC %08x, want %08x", ErrMalformed, got, want)
	}
	if h.Salt != salt {
		return fmt.Errorf("record header: %w: salt of another file", ErrMalformed)
	}
	return nil
}

// BlockCRC is entry i of the table in an encoded header.
func BlockCRC(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[FixedLen+4*i:]) }

// BlockCRCs computes the table for data.
func BlockCRCs(data []byte) []uint32 {
	out := make([]uint32, 0, blocksOf(uint32(len(data))))
	for len(data) > 0 {
		n := min(len(data), vstack.BlockSize)
		out = append(out, CRC(data[:n]))
		data = data[n:]
	}
	return out
}
