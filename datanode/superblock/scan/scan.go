package scan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/vstack/vstack/datanode/superblock/format"
)

// Source is a file to scan.
type Source interface {
	io.ReaderAt
	// NextData returns the first offset ≥ off that may hold anything but zeros.
	NextData(off int64) (int64, error)
}

// Result is what a walk over a file's records finds.
type Result struct {
	Records []Record
	Gaps    []Gap
	// Dirty: there is something but zeros behind the last record's group.
	Dirty bool
}

// Record is a record whose header is right. Its encoded header goes on as the
// footer entry that it will be, so that memory is bounded by format.MaxEntries.
type Record struct {
	Entry [format.MaxFixedLen]byte // as long as the file's version has it
	Off   int64
	Group int64
	Len   int64 // what the record takes in the file
	End   bool  // last of its group
}

// Gap is a stretch in which no record starts that should.
type Gap struct{ From, To int64 }

// scanner walks the record headers of one file up to limit.
type scanner struct {
	f       Source
	name    string
	version format.Version
	salt    uint64
	limit   int64
	buf     [format.MaxHeaderLen]byte
}

// File walks the first limit bytes of a file with the given version and salt; name is for
// errors. Only I/O errors are errors.
func File(f Source, name string, version format.Version, salt uint64, limit int64) (*Result, error) {
	sc := &scanner{f: f, name: name, version: version, salt: salt, limit: limit}
	fixed := version.FixedLen()
	out := &Result{}
	p, group := int64(format.FileHeaderLen), int64(0) // group 0: a new one must start at p
	for p+fixed <= limit {
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
				out.Dirty = dirty
				break
			}
			out.Gaps = append(out.Gaps, Gap{p, next})
			if h, _, err = sc.header(next); err != nil {
				return nil, err
			}
			p = next
		}
		rec := Record{Off: p, Group: h.Group, Len: h.Len(), End: h.Flags&format.FlagGroupEnd != 0}
		copy(rec.Entry[:fixed], sc.buf[:])
		out.Records = append(out.Records, rec)
		if len(out.Records) > format.MaxEntries {
			return nil, fmt.Errorf("scan %s: more than %d records: %w", name, format.MaxEntries, format.ErrMalformed)
		}
		p, group = p+rec.Len, h.Group
		if rec.End {
			p, group = format.Align(p, format.GroupAlign), 0
		}
	}
	return out, nil
}

// afterCut looks for what follows a group of which recovery once cut off the end:
// zeros up to the next page, and a group starting there.
func (sc *scanner) afterCut(p int64) (h format.Header, at int64, ok bool, err error) {
	at = format.Align(p, format.GroupAlign)
	if at+sc.version.FixedLen() > sc.limit {
		return h, 0, false, nil
	}
	rest := make([]byte, at-p)
	if err := readFull(sc.f, rest, p); err != nil {
		return h, 0, false, fmt.Errorf("read %s at %d: %w", sc.name, p, err)
	}
	if !AllZero(rest) {
		return h, 0, false, nil
	}
	h, ok, err = sc.header(at)
	return h, at, ok && h.Group == at, err
}

// header reads the record header at off; false if there is none that is right. The
// header lies in buf then.
func (sc *scanner) header(off int64) (h format.Header, ok bool, err error) {
	b := sc.buf[:min(format.MaxHeaderLen, sc.limit-off)]
	if err := readFull(sc.f, b, off); err != nil {
		return h, false, fmt.Errorf("read %s at %d: %w", sc.name, off, err)
	}
	if h.Decode(b, sc.version, sc.salt) != nil || h.Group > off || off+h.Len() > sc.limit {
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
		data, err := sc.f.NextData(p)
		if err != nil {
			return 0, false, fmt.Errorf("search %s: %w", sc.name, err)
		}
		p = max(p, data/format.RecordAlign*format.RecordAlign)
		if p >= sc.limit {
			break
		}
		w := buf[:min(int64(len(buf)), sc.limit-p)]
		if err := readFull(sc.f, w, p); err != nil {
			return 0, false, fmt.Errorf("search %s at %d: %w", sc.name, p, err)
		}
		dirty = dirty || !AllZero(w)
		for i := 0; i+len(magic) <= len(w); i += format.RecordAlign {
			if p+int64(i) == from || !bytes.Equal(w[i:i+len(magic)], magic[:]) || sc.limit-p-int64(i) < sc.version.FixedLen() {
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

// AllZero reports whether b is all zeros.
func AllZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// zeros is a page to compare with.
var zeros [format.GroupAlign]byte

// readFull reads exactly p.
func readFull(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
