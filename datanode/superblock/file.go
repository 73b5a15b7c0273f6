package superblock

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	fileSuffix = ".vsb"
	tempSuffix = ".tmp"
	lockName   = "LOCK"
)

func fileName(id uint32) string { return fmt.Sprintf("%08x%s", id, fileSuffix) }

// fileID reads fileName's form.
func fileID(name string) (uint32, bool) {
	hex, ok := strings.CutSuffix(name, fileSuffix)
	if !ok || len(hex) != 8 {
		return 0, false
	}
	id, err := strconv.ParseUint(hex, 16, 32)
	return uint32(id), err == nil && name == fileName(uint32(id))
}

// superblock is one open file. It starts with one reference, the store's; whoever
// reads takes another, so that compaction may unlink the file while it is being read.
type superblock struct {
	id   uint32
	f    vfs.File
	path string
	salt uint64
	base vstack.LSN
	// version is that of all of its records.
	version format.Version
	box     *seal.Box // opens its sealed records
	refs    atomic.Int64

	// Written by the owner of the file's tail (recovery, then the writer) under the
	// index's lock once the store is open; read under it.
	size    int64 // bytes the file takes on disk
	end     int64 // end of the last record
	count   int
	first   vstack.LSN
	last    vstack.LSN
	entries []byte // footer entries; nil once sealed
	sealed  bool
	damaged bool // records of it are lost: kept as it is, for ever
	rewrite bool // footer, header or padding is rotten, all records are there: compaction renews it
}

func newSuperblock(f vfs.File, path string, h format.FileHeader, box *seal.Box) *superblock {
	b := &superblock{id: h.ID, f: f, path: path, salt: h.Salt, base: h.Base, version: h.Version, box: box, end: format.FileHeaderLen}
	b.refs.Store(1)
	return b
}

// acquire takes a reference; the caller holds the index's lock, so the store's own
// reference is still there.
func (b *superblock) acquire() *superblock {
	b.refs.Add(1)
	return b
}

// release gives a reference back and closes the file with the last one.
func (b *superblock) release() error {
	if b.refs.Add(-1) > 0 {
		return nil
	}
	if err := b.f.Close(); err != nil {
		return fmt.Errorf("close superblock %s: %w", b.path, err)
	}
	return nil
}

// add accounts for a record whose encoded header is given and that starts at off.
func (b *superblock) add(encoded []byte, h *format.Header, off int64) {
	b.entries = format.AppendEntry(b.entries, encoded, off, b.version)
	b.note(h, off)
}

// note is add for a record whose entry is on disk already.
func (b *superblock) note(h *format.Header, off int64) {
	b.count++
	b.end = max(b.end, off+h.Len())
	if b.first == 0 || h.LSN < b.first {
		b.first = h.LSN
	}
	b.last = max(b.last, h.LSN)
}

// fits reports whether n more records of size bytes, starting with the next group,
// leave room for the footer and for keep bytes.
func (b *superblock) fits(limit int64, pending int64, records int, keep int64) bool {
	if b.count+records > format.MaxEntries {
		return false
	}
	end := format.Align(format.Align(b.end, format.GroupAlign)+pending, format.GroupAlign)
	return end+b.version.FooterLen(b.count+records)+keep <= limit
}

// trailer describes the file as it is now.
func (b *superblock) trailer() *format.Trailer {
	return &format.Trailer{
		Version: b.version, ID: b.id, Count: uint32(b.count), Footer: format.Align(b.end, format.GroupAlign), Salt: b.salt,
		First: b.first, Last: b.last, EntriesCRC: format.CRC(b.entries),
	}
}

// seal writes the footer and trims the file. It needs the disk to take it: an error
// leaves the file in an unknown state.
func (b *superblock) seal() error {
	t := b.trailer()
	if _, err := b.f.WritevAt([][]byte{b.entries, t.Encode()}, t.Footer); err != nil {
		return fmt.Errorf("write footer of %s: %w", b.path, err)
	}
	if err := b.f.Truncate(b.sealedSize()); err != nil {
		return fmt.Errorf("trim %s: %w", b.path, err)
	}
	if err := b.f.Sync(); err != nil {
		return fmt.Errorf("sync footer of %s: %w", b.path, err)
	}
	return nil
}

// sealedSize is the file's size with its footer.
func (b *superblock) sealedSize() int64 {
	return format.Align(b.end, format.GroupAlign) + b.version.FooterLen(b.count)
}
