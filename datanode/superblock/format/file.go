package format

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// FileHeader opens every superblock file.
type FileHeader struct {
	ID    uint32
	Store vstack.StoreID
	Salt  uint64
	Base  vstack.LSN // every LSN that this file is the first to hold is above it
}

func (f *FileHeader) Encode() []byte {
	b := make([]byte, FileHeaderLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], fileMagic)
	le.PutUint32(b[8:], Version)
	le.PutUint32(b[12:], f.ID)
	copy(b[16:32], f.Store[:])
	le.PutUint64(b[32:], f.Salt)
	le.PutUint64(b[40:], uint64(f.Base))
	le.PutUint32(b[60:], CRC(b[:60]))
	return b
}

func (f *FileHeader) Decode(b []byte) error {
	le := binary.LittleEndian
	if len(b) < 64 || le.Uint64(b) != fileMagic || le.Uint32(b[60:]) != CRC(b[:60]) {
		return fmt.Errorf("file header: %w: magic or CRC", ErrMalformed)
	}
	if v := le.Uint32(b[8:]); v != Version {
		return fmt.Errorf("file header: format version %d, this program reads %d: %w", v, Version, errors.ErrUnsupported)
	}
	f.ID, f.Salt, f.Base = le.Uint32(b[12:]), le.Uint64(b[32:]), vstack.LSN(le.Uint64(b[40:]))
	copy(f.Store[:], b[16:32])
	return nil
}

// Trailer closes a sealed file and points at its index footer.
type Trailer struct {
	ID         uint32
	Count      uint32 // entries
	Footer     int64  // offset of the first entry
	Salt       uint64
	First      vstack.LSN // smallest LSN in the file; 0 if it has none
	Last       vstack.LSN
	EntriesCRC uint32
}

func (t *Trailer) Encode() []byte {
	b := make([]byte, TrailerLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], trailerMagic)
	le.PutUint32(b[8:], Version)
	le.PutUint32(b[12:], t.Count)
	le.PutUint64(b[16:], uint64(t.Footer))
	le.PutUint64(b[24:], t.Salt)
	le.PutUint64(b[32:], uint64(t.First))
	le.PutUint64(b[40:], uint64(t.Last))
	le.PutUint32(b[48:], t.EntriesCRC)
	le.PutUint32(b[52:], t.ID)
	le.PutUint32(b[60:], CRC(b[:60]))
	return b
}

// Decode reads the trailer of a file of size bytes.
func (t *Trailer) Decode(b []byte, size int64) error {
	le := binary.LittleEndian
	if len(b) < TrailerLen || le.Uint64(b) != trailerMagic || le.Uint32(b[60:]) != CRC(b[:60]) || le.Uint32(b[8:]) != Version {
		return fmt.Errorf("trailer: %w: magic, version or CRC", ErrMalformed)
	}
	t.Count, t.Footer, t.Salt = le.Uint32(b[12:]), int64(le.Uint64(b[16:])), le.Uint64(b[24:])
	t.First, t.Last = vstack.LSN(le.Uint64(b[32:])), vstack.LSN(le.Uint64(b[40:]))
	t.EntriesCRC, t.ID = le.Uint32(b[48:]), le.Uint32(b[52:])
	if t.Count > MaxEntries || t.Footer < FileHeaderLen || t.Footer+int64(t.Count)*EntryLen+TrailerLen != size {
		return fmt.Errorf("trailer: %w: %d entries at %d in a file of %d", ErrMalformed, t.Count, t.Footer, size)
	}
	return nil
}

// AppendEntry appends the footer entry of an encoded record header at off.
func AppendEntry(entries, encoded []byte, off int64) []byte {
	entries = append(entries, encoded[:FixedLen]...)
	return binary.LittleEndian.AppendUint64(entries, uint64(off))
}

// DecodeEntry reads footer entry i into h and returns the record's offset.
func DecodeEntry(entries []byte, i int, h *Header) (int64, error) {
	b := entries[i*EntryLen : (i+1)*EntryLen]
	off := int64(binary.LittleEndian.Uint64(b[FixedLen:]))
	if err := h.DecodeFixed(b); err != nil {
		return 0, fmt.Errorf("footer entry %d: %w", i, err)
	}
	if off < h.Group || off%RecordAlign != 0 || off > MaxFile {
		return 0, fmt.Errorf("footer entry %d: %w: offset %d, group %d", i, ErrMalformed, off, h.Group)
	}
	return off, nil
}

// FooterLen is what a footer of n entries takes, trailer included.
func FooterLen(n int) int64 { return int64(n)*EntryLen + TrailerLen }

// EncodeIdentity is the content of a store's identity file.
func EncodeIdentity(id vstack.StoreID) []byte {
	b := make([]byte, IdentityLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], identityMagic)
	le.PutUint32(b[8:], Version)
	copy(b[16:32], id[:])
	le.PutUint32(b[60:], CRC(b[:60]))
	return b
}

// DecodeIdentity reads EncodeIdentity's form.
func DecodeIdentity(b []byte) (id vstack.StoreID, err error) {
	le := binary.LittleEndian
	if len(b) != IdentityLen || le.Uint64(b) != identityMagic || le.Uint32(b[60:]) != CRC(b[:60]) {
		return id, fmt.Errorf("store identity: %w: %d bytes, magic or CRC: %w", ErrMalformed, len(b), vstack.ErrCorrupt)
	}
	if v := le.Uint32(b[8:]); v != Version {
		return id, fmt.Errorf("store identity: format version %d, this program reads %d: %w", v, Version, errors.ErrUnsupported)
	}
	copy(id[:], b[16:32])
	if id.IsZero() {
		return id, fmt.Errorf("store identity: %w: zero UUID: %w", ErrMalformed, vstack.ErrCorrupt)
	}
	return id, nil
}
