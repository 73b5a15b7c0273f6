package superblock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// scanned is what a walk over a file's records finds.
type scanned struct {
	recs []foundRecord
	gaps []gap
	// dirty: there is something but zeros behind the last record's group.
	dirty bool
}

// foundRecord is a record whose header is right. Its encoded header goes on as the
// footer entry that it will be, so that memory is bounded by maxEntries.
type foundRecord struct {
	entry [fixedLen]byte
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
	buf   [maxHeaderLen]byte
}

// maxHeaderLen is headerLen of the largest chunk.
const maxHeaderLen = 704

// scan walks a file. Only I/O errors are errors.
func (b *superblock) scan(limit int64) (*scanned, error) {
	sc := &scanner{b: b, limit: limit}
	out := &scanned{}
	p, group := int64(fileHeaderLen), int64(0) // group 0: a new one must start at p
	for p+fixedLen <= limit {
		h, ok, err := sc.header(p)
		if err != nil {
			return nil, err
		}
		if !ok || (group == 0 && h.group != p) || (group != 0 && h.group != group) {
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
		rec := foundRecord{off: p, group: h.group, end: h.flags&flagGroupEnd != 0}
		copy(rec.entry[:], sc.buf[:])
		out.recs = append(out.recs, rec)
		if len(out.recs) > maxEntries {
			return nil, fmt.Errorf("scan %s: more than %d records: %w", b.path, maxEntries, errFormat)
		}
		p, group = p+recordLen(h.dataLen), h.group
		if rec.end {
			p, group = align(p, groupAlign), 0
		}
	}
	return out, nil
}

// header reads the record header at off; false if there is none that is right. The
// header lies in buf then.
func (sc *scanner) header(off int64) (h header, ok bool, err error) {
	b := sc.buf[:min(maxHeaderLen, sc.limit-off)]
	if err := readFull(sc.b, b, off); err != nil {
		return h, false, fmt.Errorf("read %s at %d: %w", sc.b.path, off, err)
	}
	if h.decode(b, sc.b.salt) != nil || h.group > off || off+recordLen(h.dataLen) > sc.limit {
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
	binary.LittleEndian.PutUint32(magic[:], recordMagic)
	for p := from; p < sc.limit; {
		data, err := sc.b.f.NextData(p)
		if err != nil {
			return 0, false, fmt.Errorf("search %s: %w", sc.b.path, err)
		}
		p = max(p, data/recordAlign*recordAlign)
		if p >= sc.limit {
			break
		}
		w := buf[:min(int64(len(buf)), sc.limit-p)]
		if err := readFull(sc.b, w, p); err != nil {
			return 0, false, fmt.Errorf("search %s at %d: %w", sc.b.path, p, err)
		}
		dirty = dirty || !allZero(w)
		for i := 0; i+len(magic) <= len(w); i += recordAlign {
			if p+int64(i) == from || !bytes.Equal(w[i:i+len(magic)], magic[:]) || sc.limit-p-int64(i) < fixedLen {
				continue
			}
			if _, ok, err := sc.header(p + int64(i)); err != nil || ok {
				return p + int64(i), dirty, err
			}
		}
		p += align(int64(len(w)), recordAlign)
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
	lastGroup, end := int64(fileHeaderLen), int64(fileHeaderLen)
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
			v.lost = append(v.lost, gap{align(end, groupAlign), b.size})
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
		var h header
		if err := h.decodeFixed(rec.entry[:]); err != nil {
			return err
		}
		ok, err := b.dataRight(rec, &h)
		if err != nil {
			return err
		}
		expected := i - whole
		if !ok || (torn != 0 && rec.off > torn) || int(h.batchIndex) != expected {
			break
		}
		if h.batchIndex+1 == h.batchCount {
			whole = i + 1
		}
	}
	complete := whole == len(sc.recs) && torn == 0 && (len(sc.recs) == 0 || sc.recs[len(sc.recs)-1].end)
	if complete && !sc.dirty {
		return nil
	}
	v.keep = whole
	v.cut = fileHeaderLen
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
func (r *foundRecord) len() int64      { return recordLen(r.dataLen()) }

// dataRight checks a record's data against its table.
func (b *superblock) dataRight(rec *foundRecord, h *header) (bool, error) {
	if h.dataLen == 0 {
		return true, nil
	}
	r := &chunkReader{id: h.Value.Chunk, b: b, entry: chunkEntry{lsn: h.lsn, off: uint32(rec.off / recordAlign), size: h.dataLen}}
	err := r.verify(make([]byte, min(int64(h.dataLen), readStep)), nil)
	r.putTable()
	if errors.Is(err, errFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}
