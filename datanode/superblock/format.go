package superblock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/vstack/vstack/internal/vstack"
)

// The sizes of docs/format/superblock.md.
const (
	formatVersion = 1
	recordAlign   = 64   // records start on it, inside a group
	groupAlign    = 4096 // groups start on it: no write touches a durable page again
	fileHeaderLen = 4096 // of which 64 bytes carry meaning
	fixedLen      = 160  // of a record header, before the table of block CRCs
	entryLen      = fixedLen + 8
	trailerLen    = 64
	identityLen   = 64

	minSuperblock = 64 << 10
	maxSuperblock = 64 << 30
	// maxEntries bounds the records of one file, so the footer that is held in memory
	// until the file is sealed.
	maxEntries = 1 << 17
)

const (
	recordMagic   = 0x43525356         // "VSRC"
	fileMagic     = 0x4b4c42534b545356 // "VSTKSBLK"
	trailerMagic  = 0x544f4f464b545356 // "VSTKFOOT"
	identityMagic = 0x524f54534b545356 // "VSTKSTOR"
)

const (
	flagVoted    = 1 << 0
	flagGroupEnd = 1 << 1
	flagMoved    = 1 << 2 // written by compaction, at an LSN of old
)

// errFormat is the reason of every decoder's refusal; callers turn it into a finding.
var errFormat = errors.New("not valid")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crc(b []byte) uint32              { return crc32.Checksum(b, castagnoli) }
func crcAdd(c uint32, b []byte) uint32 { return crc32.Update(c, castagnoli, b) }

func align(n, to int64) int64 { return (n + to - 1) / to * to }

// blocksOf is how many blocks n bytes of data have.
func blocksOf(n uint32) int { return int((int64(n) + vstack.BlockSize - 1) / vstack.BlockSize) }

// headerLen is the length of a record's header with its table, padded.
func headerLen(dataLen uint32) int64 { return align(fixedLen+4*int64(blocksOf(dataLen)), recordAlign) }

// recordLen is what a record takes in the file, padded.
func recordLen(dataLen uint32) int64 {
	return headerLen(dataLen) + align(int64(dataLen), recordAlign)
}

// header is a record's header without the table.
type header struct {
	Record     // Data is not filled
	dataLen    uint32
	lsn        vstack.LSN
	group      int64 // file offset at which the record's group starts
	batchIndex uint16
	batchCount uint16
	flags      uint16 // flagGroupEnd and flagMoved; flagVoted is Voted
	salt       uint64
}

// encode writes h and the table of block CRCs, both covered by the header's CRC, into
// b, which is zeroed and headerLen long.
func (h *header) encode(b []byte, blocks []uint32) {
	le := binary.LittleEndian
	flags := h.flags &^ flagVoted
	if h.Voted {
		flags |= flagVoted
	}
	le.PutUint32(b[0:], recordMagic)
	b[4], b[5] = formatVersion, byte(h.Kind)
	le.PutUint16(b[6:], flags)
	le.PutUint64(b[8:], uint64(h.lsn))
	le.PutUint64(b[16:], uint64(h.group))
	le.PutUint16(b[24:], h.batchIndex)
	le.PutUint16(b[26:], h.batchCount)
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
	le.PutUint32(b[140:], h.dataLen)
	le.PutUint64(b[144:], h.salt)
	for i, c := range blocks {
		le.PutUint32(b[fixedLen+4*i:], c)
	}
	le.PutUint32(b[156:], crcAdd(crc(b[:156]), b[fixedLen:]))
}

// decodeFixed reads the fixed part without its CRC, which the caller has checked or
// has another check for.
func (h *header) decodeFixed(b []byte) error {
	le := binary.LittleEndian
	if len(b) < fixedLen || le.Uint32(b) != recordMagic || b[4] != formatVersion {
		return fmt.Errorf("record header: %w: magic or version", errFormat)
	}
	*h = header{dataLen: le.Uint32(b[140:]), lsn: vstack.LSN(le.Uint64(b[8:])), group: int64(le.Uint64(b[16:])),
		batchIndex: le.Uint16(b[24:]), batchCount: le.Uint16(b[26:]), flags: le.Uint16(b[6:]), salt: le.Uint64(b[144:])}
	h.Kind = Kind(b[5])
	h.Voted = h.flags&flagVoted != 0
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
		return fmt.Errorf("record header: %w: kind %d", errFormat, h.Kind)
	case h.Kind == KindChunk && (h.dataLen == 0 || h.dataLen > vstack.MaxChunkSize || h.dataLen != h.Value.Size):
		return fmt.Errorf("record header: %w: %d bytes of data, value of %d", errFormat, h.dataLen, h.Value.Size)
	case h.Kind != KindChunk && h.dataLen != 0:
		return fmt.Errorf("record header: %w: %d bytes of data in a %s record", errFormat, h.dataLen, h.Kind)
	case h.batchIndex >= h.batchCount || h.group < fileHeaderLen || h.group%groupAlign != 0 || h.lsn == 0:
		return fmt.Errorf("record header: %w: batch %d of %d, group %d, LSN %d", errFormat, h.batchIndex, h.batchCount, h.group, h.lsn)
	}
	return nil
}

// decode reads a header with its table from b, which holds at least headerLen bytes,
// and checks CRC and salt.
func (h *header) decode(b []byte, salt uint64) error {
	if err := h.decodeFixed(b); err != nil {
		return err
	}
	n := headerLen(h.dataLen)
	if int64(len(b)) < n {
		return fmt.Errorf("record header: %w: %d bytes, want %d", errFormat, len(b), n)
	}
	if got, want := crcAdd(crc(b[:156]), b[fixedLen:n]), binary.LittleEndian.Uint32(b[156:]); got != want {
		return fmt.Errorf("record header: %w: CRC %08x, want %08x", errFormat, got, want)
	}
	if h.salt != salt {
		return fmt.Errorf("record header: %w: salt of another file", errFormat)
	}
	return nil
}

// blockCRC is entry i of the table in an encoded header.
func blockCRC(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[fixedLen+4*i:]) }

// blockCRCs computes the table for data.
func blockCRCs(data []byte) []uint32 {
	out := make([]uint32, 0, blocksOf(uint32(len(data))))
	for len(data) > 0 {
		n := min(len(data), vstack.BlockSize)
		out = append(out, crc(data[:n]))
		data = data[n:]
	}
	return out
}

// fileHeader opens every superblock file.
type fileHeader struct {
	id    uint32
	store vstack.StoreID
	salt  uint64
	base  vstack.LSN // every LSN that this file is the first to hold is above it
}

func (f *fileHeader) encode() []byte {
	b := make([]byte, fileHeaderLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], fileMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], f.id)
	copy(b[16:32], f.store[:])
	le.PutUint64(b[32:], f.salt)
	le.PutUint64(b[40:], uint64(f.base))
	le.PutUint32(b[60:], crc(b[:60]))
	return b
}

func (f *fileHeader) decode(b []byte) error {
	le := binary.LittleEndian
	if len(b) < 64 || le.Uint64(b) != fileMagic || le.Uint32(b[60:]) != crc(b[:60]) {
		return fmt.Errorf("file header: %w: magic or CRC", errFormat)
	}
	if v := le.Uint32(b[8:]); v != formatVersion {
		return fmt.Errorf("file header: format version %d, this program reads %d: %w", v, formatVersion, errors.ErrUnsupported)
	}
	f.id, f.salt, f.base = le.Uint32(b[12:]), le.Uint64(b[32:]), vstack.LSN(le.Uint64(b[40:]))
	copy(f.store[:], b[16:32])
	return nil
}

// trailer closes a sealed file and points at its index footer.
type trailer struct {
	id         uint32
	count      uint32
	footer     int64 // offset of the first entry
	salt       uint64
	first      vstack.LSN // smallest LSN in the file; 0 if it has none
	last       vstack.LSN
	entriesCRC uint32
}

func (t *trailer) encode() []byte {
	b := make([]byte, trailerLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], trailerMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], t.count)
	le.PutUint64(b[16:], uint64(t.footer))
	le.PutUint64(b[24:], t.salt)
	le.PutUint64(b[32:], uint64(t.first))
	le.PutUint64(b[40:], uint64(t.last))
	le.PutUint32(b[48:], t.entriesCRC)
	le.PutUint32(b[52:], t.id)
	le.PutUint32(b[60:], crc(b[:60]))
	return b
}

// decode reads the trailer of a file of size bytes.
func (t *trailer) decode(b []byte, size int64) error {
	le := binary.LittleEndian
	if len(b) < trailerLen || le.Uint64(b) != trailerMagic || le.Uint32(b[60:]) != crc(b[:60]) || le.Uint32(b[8:]) != formatVersion {
		return fmt.Errorf("trailer: %w: magic, version or CRC", errFormat)
	}
	t.count, t.footer, t.salt = le.Uint32(b[12:]), int64(le.Uint64(b[16:])), le.Uint64(b[24:])
	t.first, t.last = vstack.LSN(le.Uint64(b[32:])), vstack.LSN(le.Uint64(b[40:]))
	t.entriesCRC, t.id = le.Uint32(b[48:]), le.Uint32(b[52:])
	if t.count > maxEntries || t.footer < fileHeaderLen || t.footer+int64(t.count)*entryLen+trailerLen != size {
		return fmt.Errorf("trailer: %w: %d entries at %d in a file of %d", errFormat, t.count, t.footer, size)
	}
	return nil
}

// appendEntry appends the footer entry of an encoded record header at off.
func appendEntry(entries, encoded []byte, off int64) []byte {
	entries = append(entries, encoded[:fixedLen]...)
	return binary.LittleEndian.AppendUint64(entries, uint64(off))
}

// decodeEntry reads footer entry i into h and returns the record's offset.
func decodeEntry(entries []byte, i int, h *header) (int64, error) {
	b := entries[i*entryLen : (i+1)*entryLen]
	off := int64(binary.LittleEndian.Uint64(b[fixedLen:]))
	if err := h.decodeFixed(b); err != nil {
		return 0, fmt.Errorf("footer entry %d: %w", i, err)
	}
	if off < h.group || off%recordAlign != 0 || off > maxSuperblock {
		return 0, fmt.Errorf("footer entry %d: %w: offset %d, group %d", i, errFormat, off, h.group)
	}
	return off, nil
}
