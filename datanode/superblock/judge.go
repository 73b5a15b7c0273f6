package superblock

import (
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/datanode/superblock/chunk"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/datanode/superblock/scan"
	"github.com/vstack/vstack/internal/vstack"
)

// rebuildEntries makes a sealed file's footer entries anew from its records. With
// ErrCorrupt it returns those of the records that are still readable.
func (b *superblock) rebuildEntries() ([]byte, error) {
	limit := format.Align(b.end, format.GroupAlign)
	sc, err := scan.File(b.f, b.path, b.version, b.salt, limit)
	if err != nil {
		return nil, err
	}
	entries := sc.Entries(b.version)
	if len(sc.Records) != b.count {
		return entries, fmt.Errorf("%s has %d readable records and no readable footer, want %d records: %w", b.path, len(sc.Records), b.count, vstack.ErrCorrupt)
	}
	return entries, nil
}

// dataRight checks a record's data against its table.
func (b *superblock) dataRight(rec *scan.Record, h *format.Header) (bool, error) {
	if h.DataLen == 0 {
		return true, nil
	}
	r := b.reader(h.Value.Chunk, index.EntryOf(h, b.id, rec.Off))
	err := r.Verify(make([]byte, min(int64(h.DataLen), chunk.Step)), nil)
	if err == nil && h.LeavesLen > 0 {
		_, err = r.Leaves()
	}
	r.Close()
	if errors.Is(err, format.ErrMalformed) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}
