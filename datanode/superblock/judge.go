package superblock

import (
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/datanode/superblock/scan"
	"github.com/vstack/vstack/internal/vstack"
)

// rebuildEntries makes a sealed file's footer entries anew from its records. With
// ErrCorrupt it returns those of the records that are still readable.
func (b *superblock) rebuildEntries() ([]byte, error) {
	limit := format.Align(b.end, format.GroupAlign)
	sc, err := scan.File(b.f, b.path, b.salt, limit)
	if err != nil {
		return nil, err
	}
	var entries []byte
	for i := range sc.Records {
		entries = format.AppendEntry(entries, sc.Records[i].Entry[:], sc.Records[i].Off)
	}
	if len(sc.Records) != b.count {
		return entries, fmt.Errorf("%s has %d readable records and no readable footer, want %d records: %w", b.path, len(sc.Records), b.count, vstack.ErrCorrupt)
	}
	return entries, nil
}

// verdict is what a scan means.
type verdict struct {
	keep int        // leading records that count
	cut  int64      // where the torn tail starts; 0 if there is none
	lost []scan.Gap // rot: acknowledged records were there
}

// judge tells a torn tail from rot. A group is written only after everything before it
// is durable, so damage before the start of the last group, or anywhere if later files
// hold records, is rot; damage in the last group is what a crash leaves.
func (b *superblock) judge(sc *scan.Result, later bool) (v verdict, err error) {
	v.keep = len(sc.Records)
	lastGroup, end := int64(format.FileHeaderLen), int64(format.FileHeaderLen)
	if n := len(sc.Records); n > 0 {
		last := sc.Records[n-1]
		lastGroup = last.Group
		end = last.Off + last.Len()
	}
	torn := int64(0)
	for _, g := range sc.Gaps {
		if later || g.From < lastGroup {
			v.lost = append(v.lost, g)
		} else if torn == 0 {
			torn = g.From
		}
	}
	if later {
		if sc.Dirty {
			v.lost = append(v.lost, scan.Gap{From: format.Align(end, format.GroupAlign), To: b.size})
		}
		return v, nil
	}
	return v, b.judgeTail(sc, &v, lastGroup, torn, end)
}

// judgeTail finds how much of the last group counts: whole batches whose data is
// right, up to the first damage. torn is where a gap in the group begins, 0 if none.
func (b *superblock) judgeTail(sc *scan.Result, v *verdict, lastGroup, torn, end int64) error {
	first := len(sc.Records)
	for first > 0 && sc.Records[first-1].Group == lastGroup {
		first--
	}
	whole := first // records up to here belong to whole batches
	for i := first; i < len(sc.Records); i++ {
		rec := &sc.Records[i]
		var h format.Header
		if err := h.DecodeFixed(rec.Entry[:]); err != nil {
			return err
		}
		ok, err := b.dataRight(rec, &h)
		if err != nil {
			return err
		}
		expected := i - whole
		if !ok || (torn != 0 && rec.Off > torn) || int(h.BatchIndex) != expected {
			break
		}
		if h.BatchIndex+1 == h.BatchCount {
			whole = i + 1
		}
	}
	if whole == len(sc.Records) && torn == 0 && !sc.Dirty {
		return nil // the group may lack its end, but there is nothing to cut
	}
	v.keep = whole
	v.cut = format.FileHeaderLen
	switch {
	case whole == len(sc.Records):
		v.cut = max(v.cut, end)
	case whole > 0:
		last := &sc.Records[whole-1]
		v.cut = last.Off + last.Len()
	}
	return nil
}

// dataRight checks a record's data against its table.
func (b *superblock) dataRight(rec *scan.Record, h *format.Header) (bool, error) {
	if h.DataLen == 0 {
		return true, nil
	}
	r := &chunkReader{id: h.Value.Chunk, b: b, entry: index.NewEntry(h.LSN, b.id, rec.Off, h.DataLen)}
	err := r.verify(make([]byte, min(int64(h.DataLen), readStep)), nil)
	r.putTable()
	if errors.Is(err, format.ErrMalformed) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}
