package superblock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/internal/vstack"
)

// scanned is what a walk over a file's records finds.
type scanned struct {
	recs []foundRecord
	gaps []gap
	// dirty: there is something but zeros behind the last record's group.
	dirty bool
}

// foundRecord is a record whose header is right. Its encoded header goes on as the
// footer entry that it will be, so that memory is bounded by format.MaxEntries.
type foundRecord struct {
	entry [format.FixedLen]byte
	off   int64
	group int64
	end   bool // last of its group
}

// gap is a stretch in which no record starts that should.
type gap struct{ from, to int64 }

// scanner walks the record headers of one file up to limit.
type scanner struct {
	b     *superblock
	limit int64
	buf   [format.MaxHeaderLen]byte
}

// scan walks a file. Only I/O errors are errors.
func (b *superblock) scan(limit int64) (*scanned, error) {
	sc := &scanner{b: b, limit: limit}
	out := &scanned{}
	p, group := int64(format.FileHeaderLen), int64(0) // group 0: a new one must start at p
	for p+format.FixedLen <= limit {
		h, ok, err := sc.header(p)
		if err != nil {
			return nil, err
		}
		fits := ok && (h.Group == group || (group == 0 && h.Group == p))
		if !fits && group != 0 {
			var at int64
			if h, at, fits, err = sc.afterCut(p); err != nil {
				return nil, err
			}
			if fits {
				p = at
			}
		}
		if !fits {
			next, dirty, err := sc.search(p)
			if err != nil {
				return nil, err
			}
			if next < 0 {
				out.dirty = dirty
				break
			}
			out.gaps = append(out.gaps, gap{p, next})
			if h, _, err = sc.header(next); err != nil {
				return nil, err
			}
			p = next
		}
		rec := foundRecord{off: p, group: h.Group, end: h.Flags&format.FlagGroupEnd != 0}
		copy(rec.entry[:], sc.buf[:])
		out.recs = append(out.recs, rec)
		if len(out.recs) > format.MaxEntries {
			return nil, fmt.Errorf("scan %s: more than %d records: %w", b.path, format.MaxEntries, format.ErrMalformed)
		}
		p, group = p+format.RecordLen(h.DataLen), h.Group
		if rec.end {
			p, group = format.Align(p, format.GroupAlign), 0
		}
	}
	return out, nil
}

// afterCut looks for what follows a group of which recovery once cut off the end:
// zeros up to the next page, and a group starting there.
func (sc *scanner) afterCut(p int64) (h format.Header, at int64, ok bool, err error) {
	at = format.Align(p, format.GroupAlign)
	if at+format.FixedLen > sc.limit {
		return h, 0, false, nil
	}
	rest := make([]byte, at-p)
	if err := readFull(sc.b, rest, p); err != nil {
		return h, 0, false, fmt.Errorf("read %s at %d: %w", sc.b.path, p, err)
	}
	if !allZero(rest) {
		return h, 0, false, nil
	}
	h, ok, err = sc.header(at)
	return h, at, ok && h.Group == at, err
}

// header reads the record header at off; false if there is none that is right. The
// header lies in buf then.
func (sc *scanner) header(off int64) (h format.Header, ok bool, err error) {
	b := sc.buf[:min(format.MaxHeaderLen, sc.limit-off)]
	if err := readFull(sc.b, b, off); err != nil {
		return h, false, fmt.Errorf("read %s at %d: %w", sc.b.path, off, err)
	}
	if h.Decode(b, sc.b.salt) != nil || h.Group > off || off+format.RecordLen(h.DataLen) > sc.limit {
		return h, false, nil
	}
	return h, true, nil
}

// search looks behind from for the next right record. dirty says whether it met
// anything but zeros from there on.
func (sc *scanner) search(from int64) (next int64, dirty bool, err error) {
	const window = 1 << 20
	buf := make([]byte, min(window, sc.limit-from))
	var magic [4]byte
	binary.LittleEndian.PutUint32(magic[:], format.RecordMagic)
	for p := from; p < sc.limit; {
		data, err := sc.b.f.NextData(p)
		if err != nil {
			return 0, false, fmt.Errorf("search %s: %w", sc.b.path, err)
		}
		p = max(p, data/format.RecordAlign*format.RecordAlign)
		if p >= sc.limit {
			break
		}
		w := buf[:min(int64(len(buf)), sc.limit-p)]
		if err := readFull(sc.b, w, p); err != nil {
			return 0, false, fmt.Errorf("search %s at %d: %w", sc.b.path, p, err)
		}
		dirty = dirty || !allZero(w)
		for i := 0; i+len(magic) <= len(w); i += format.RecordAlign {
			if p+int64(i) == from || !bytes.Equal(w[i:i+len(magic)], magic[:]) || sc.limit-p-int64(i) < format.FixedLen {
				continue
			}
			if _, ok, err := sc.header(p + int64(i)); err != nil || ok {
				return p + int64(i), dirty, err
			}
		}
		p += format.Align(int64(len(w)), format.RecordAlign)
	}
	return -1, dirty, nil
}

func allZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// rebuildEntries makes a sealed file's footer entries anew from its records, if all of
// them are still there.
func (b *superblock) rebuildEntries() ([]byte, error) {
	limit := format.Align(b.end, format.GroupAlign)
	sc, err := b.scan(limit)
	if err != nil {
		return nil, err
	}
	if len(sc.recs) != b.count {
		return nil, fmt.Errorf("%s has %d readable records and no readable footer, want %d records: %w", b.path, len(sc.recs), b.count, vstack.ErrCorrupt)
	}
	var entries []byte
	for i := range sc.recs {
		entries = format.AppendEntry(entries, sc.recs[i].entry[:], sc.recs[i].off)
	}
	return entries, nil
}

// verdict is what a scan means.
type verdict struct {
	keep int   // leading records that count
	cut  int64 // where the torn tail starts; 0 if there is none
	lost []gap // rot: acknowledged records were there
}

// judge tells a torn tail from rot. A group is written only after everything before it
// is durable, so damage before the start of the last group, or anywhere if later files
// hold records, is rot; damage in the last group is what a crash leaves.
func (b *superblock) judge(sc *scanned, later bool) (v verdict, err error) {
	v.keep = len(sc.recs)
	lastGroup, end := int64(format.FileHeaderLen), int64(format.FileHeaderLen)
	if n := len(sc.recs); n > 0 {
		last := sc.recs[n-1]
		lastGroup = last.group
		end = last.off + last.len()
	}
	torn := int64(0)
	for _, g := range sc.gaps {
		if later || g.from < lastGroup {
			v.lost = append(v.lost, g)
		} else if torn == 0 {
			torn = g.from
		}
	}
	if later {
		if sc.dirty {
			v.lost = append(v.lost, gap{format.Align(end, format.GroupAlign), b.size})
		}
		return v, nil
	}
	return v, b.judgeTail(sc, &v, lastGroup, torn, end)
}

// judgeTail finds how much of the last group counts: whole batches whose data is
// right, up to the first damage. torn is where a gap in the group begins, 0 if none.
func (b *superblock) judgeTail(sc *scanned, v *verdict, lastGroup, torn, end int64) error {
	first := len(sc.recs)
	for first > 0 && sc.recs[first-1].group == lastGroup {
		first--
	}
	whole := first // records up to here belong to whole batches
	for i := first; i < len(sc.recs); i++ {
		rec := &sc.recs[i]
		var h format.Header
		if err := h.DecodeFixed(rec.entry[:]); err != nil {
			return err
		}
		ok, err := b.dataRight(rec, &h)
		if err != nil {
			return err
		}
		expected := i - whole
		if !ok || (torn != 0 && rec.off > torn) || int(h.BatchIndex) != expected {
			break
		}
		if h.BatchIndex+1 == h.BatchCount {
			whole = i + 1
		}
	}
	if whole == len(sc.recs) && torn == 0 && !sc.dirty {
		return nil // the group may lack its end, but there is nothing to cut
	}
	v.keep = whole
	v.cut = format.FileHeaderLen
	switch {
	case whole == len(sc.recs):
		v.cut = max(v.cut, end)
	case whole > 0:
		last := &sc.recs[whole-1]
		v.cut = last.off + last.len()
	}
	return nil
}

func (r *foundRecord) dataLen() uint32 { return binary.LittleEndian.Uint32(r.entry[140:]) }
func (r *foundRecord) len() int64      { return format.RecordLen(r.dataLen()) }

// dataRight checks a record's data against its table.
func (b *superblock) dataRight(rec *foundRecord, h *format.Header) (bool, error) {
	if h.DataLen == 0 {
		return true, nil
	}
	r := &chunkReader{id: h.Value.Chunk, b: b, entry: index.NewEntry(h.LSN, b.id, rec.off, h.DataLen)}
	err := r.verify(make([]byte, min(int64(h.DataLen), readStep)), nil)
	r.putTable()
	if errors.Is(err, format.ErrMalformed) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}
