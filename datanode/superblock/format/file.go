package format

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/vstack"
)

// FileHeader opens every superblock file.
type FileHeader struct {
	Version Version // of the file and all of its records
	ID      uint32
	Store   vstack.StoreID
	Salt    uint64
	Base    vstack.LSN // every LSN that this file is the first to hold is above it
}

func (f *FileHeader) Encode() []byte {
	b := make([]byte, FileHeaderLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], fileMagic)
	le.PutUint32(b[8:], uint32(f.Version))
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
	if err := f.Version.decode(le.Uint32(b[8:])); err != nil {
		return fmt.Errorf("file header: %w", err)
	}
	f.ID, f.Salt, f.Base = le.Uint32(b[12:]), le.Uint64(b[32:]), vstack.LSN(le.Uint64(b[40:]))
	copy(f.Store[:], b[16:32])
	return nil
}

// Trailer closes a sealed file and points at its index footer.
type Trailer struct {
	Version    Version
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
	le.PutUint32(b[8:], uint32(t.Version))
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

// Decode reads the trailer of a file of a version and of size bytes.
func (t *Trailer) Decode(b []byte, v Version, size int64) error {
	le := binary.LittleEndian
	if len(b) < TrailerLen || le.Uint64(b) != trailerMagic || le.Uint32(b[60:]) != CRC(b[:60]) || Version(le.Uint32(b[8:])) != v {
		return fmt.Errorf("trailer: %w: magic, version or CRC", ErrMalformed)
	}
	t.Version = v
	t.Count, t.Footer, t.Salt = le.Uint32(b[12:]), int64(le.Uint64(b[16:])), le.Uint64(b[24:])
	t.First, t.Last = vstack.LSN(le.Uint64(b[32:])), vstack.LSN(le.Uint64(b[40:]))
	t.EntriesCRC, t.ID = le.Uint32(b[48:]), le.Uint32(b[52:])
	if t.Count > MaxEntries || t.Footer < FileHeaderLen || t.Footer+v.FooterLen(int(t.Count)) != size {
		return fmt.Errorf("trailer: %w: %d entries at %d in a file of %d", ErrMalformed, t.Count, t.Footer, size)
	}
	return nil
}

// AppendEntry appends the footer entry of an encoded record header of a file's version at
// off. In V2 it has a magic of its own: the whole header of a record without data is its
// fixed part there, and whoever searches for records must not find one in a torn footer.
func AppendEntry(entries, encoded []byte, off int64, v Version) []byte {
	at := len(entries)
	entries = append(entries, encoded[:v.FixedLen()]...)
	binary.LittleEndian.PutUint32(entries[at:], v.entryMagic())
	return binary.LittleEndian.AppendUint64(entries, uint64(off))
}

// DecodeEntry reads entry i of the footer of a file of a version into h and returns the
// record's offset.
func DecodeEntry(entries []byte, i int, h *Header, v Version) (int64, error) {
	b := entries[i*v.EntryLen() : (i+1)*v.EntryLen()]
	off := int64(binary.LittleEndian.Uint64(b[v.FixedLen():]))
	if err := h.decode(b, v, v.entryMagic()); err != nil {
		return 0, fmt.Errorf("footer entry %d: %w", i, err)
	}
	if off < h.Group || off%RecordAlign != 0 || off > MaxFile {
		return 0, fmt.Errorf("footer entry %d: %w: offset %d, group %d", i, ErrMalformed, off, h.Group)
	}
	return off, nil
}

// entryMagic opens a footer entry.
func (v Version) entryMagic() uint32 {
	if v == V1 {
		return RecordMagic
	}
	return entryMagic
}

// decode takes a version in that this program reads.
func (v *Version) decode(n uint32) error {
	if *v = Version(n); *v < V1 || *v > Newest {
		return fmt.Errorf("format version %d, this program reads %d to %d; start the newer vstack, which wrote it: %w", n, V1, Newest, errors.ErrUnsupported)
	}
	return nil
}

// EncodeIdentity is the content of a store's identity file. version is the highest that any
// file of the store may have: a program that does not read it must not open the store, where
// it would take records that it does not know for a torn tail.
func EncodeIdentity(id vstack.StoreID, version Version) []byte {
	b := make([]byte, IdentityLen)
	le := binary.LittleEndian
	le.PutUint64(b[0:], identityMagic)
	le.PutUint32(b[8:], uint32(version))
	copy(b[16:32], id[:])
	le.PutUint32(b[60:], CRC(b[:60]))
	return b
}

// DecodeIdentity reads EncodeIdentity's form.
func DecodeIdentity(b []byte) (id vstack.StoreID, version Version, err error) {
	le := binary.LittleEndian
	if len(b) != IdentityLen || le.Uint64(b) != identityMagic || le.Uint32(b[60:]) != CRC(b[:60]) {
		return id, 0, fmt.Errorf("store identity: %w: %d bytes, magic or CRC: %w", ErrMalformed, len(b), vstack.ErrCorrupt)
	}
	if err := version.decode(le.Uint32(b[8:])); err != nil {
		return id, 0, fmt.Errorf("store identity: %w", err)
	}
	copy(id[:], b[16:32])
	if id.IsZero() {
		return id, 0, fmt.Errorf("store identity: %w: zero UUID: %w", ErrMalformed, vstack.ErrCorrupt)
	}
	return id, version, nil
}
