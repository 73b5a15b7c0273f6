package superblock

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/time/rate"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/datanode/superblock/scan"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// ScrubReport says what Scrub read and found.
type ScrubReport struct {
	Chunks int   `json:"chunks"` // live ones read
	Bytes  int64 `json:"bytes"`  // read, of all kinds
	Bad    int   `json:"bad"`    // live chunks that are bad, found now or before
	Rot    int   `json:"rot"`    // other damage: headers, footers, padding, dead records
}

// Scrub reads every byte behind which something is recorded, at most bytesPerSecond (0:
// no limit), and checks all of it: data, record headers, padding, footers. It calls
// bad for every live chunk that is bad, also for those known before. Other damage is a
// finding, and Compact will rewrite its file. It returns early with ctx's error; one
// runs at a time.
func (s *Store) Scrub(ctx context.Context, bytesPerSecond int64, bad func(vstack.ChunkID, error)) (ScrubReport, error) {
	s.maintain.Lock()
	defer s.maintain.Unlock()
	sc := &scrubber{s: s, bad: bad, buf: make([]byte, readStep), limit: rate.NewLimiter(rate.Inf, 0)}
	if bytesPerSecond > 0 {
		sc.limit = rate.NewLimiter(rate.Limit(bytesPerSecond), readStep)
	}
	files := s.filesByID()
	err := sc.identity()
	for _, b := range files {
		if err == nil {
			if err = sc.file(ctx, b); err != nil {
				err = fmt.Errorf("scrub %s: %w", b.path, err)
			}
		}
		_ = b.release() // it was only read
	}
	return sc.report, err
}

// scrubber is one run of Scrub.
type scrubber struct {
	s      *Store
	bad    func(vstack.ChunkID, error)
	buf    []byte
	limit  *rate.Limiter
	report ScrubReport
}

// pay waits until n more bytes may be read.
func (sc *scrubber) pay(ctx context.Context, n int) error {
	if sc.s.isClosed() {
		return vstack.ErrClosed
	}
	sc.report.Bytes += int64(n)
	return sc.limit.WaitN(ctx, n)
}

// rot reports damage that costs no live chunk. Compaction will renew the file.
func (sc *scrubber) rot(b *superblock, off, length int64, err error) {
	sc.report.Rot++
	sc.s.ix.Lock()
	b.rewrite = true
	sc.s.ix.Unlock()
	sc.s.found(Finding{Kind: FindRot, File: b.path, Offset: off, Length: length, Err: err})
}

// file checks one file from its header to the end of what is recorded now.
func (sc *scrubber) file(ctx context.Context, b *superblock) error {
	sc.s.ix.RLock()
	end, size := format.Align(b.end, format.GroupAlign), b.size
	sc.s.ix.RUnlock()
	entries, err := sc.s.entriesOf(b)
	if errors.Is(err, format.ErrMalformed) {
		sc.rot(b, end, size-end, err)
		if entries, err = b.rebuildEntries(); errors.Is(err, vstack.ErrCorrupt) {
			// Some records are named by neither footer nor header any more. The index has
			// the chunks among them; of the others the gap is found below, as no padding.
			err = sc.chunksOf(ctx, b)
		}
	}
	if err != nil {
		return err
	}
	if err := sc.head(ctx, b); err != nil {
		return err
	}
	next := int64(format.FileHeaderLen) // behind what was checked
	var h format.Header
	for i := range len(entries) / format.EntryLen {
		off, err := format.DecodeEntry(entries, i, &h)
		if err != nil {
			sc.rot(b, end, size-end, err)
			return nil
		}
		if off > next {
			if err := sc.padding(ctx, b, next, off); err != nil {
				return err
			}
		}
		if err := sc.record(ctx, b, &h, off); err != nil {
			return err
		}
		next = off + format.RecordLen(h.DataLen)
	}
	if next < end {
		return sc.padding(ctx, b, next, end)
	}
	return nil
}

// chunksOf checks every chunk that memory knows to lie in a file, whatever the file says.
func (sc *scrubber) chunksOf(ctx context.Context, b *superblock) error {
	for shard := range index.Shards {
		known := map[vstack.ChunkID]index.Entry{}
		sc.s.ix.RLock()
		sc.s.ix.Page(shard, vstack.ChunkID{}, func(id vstack.ChunkID, e index.Entry) {
			if e.File == b.id {
				known[id] = e
			}
		})
		sc.s.ix.RUnlock()
		for id, e := range known {
			r := &chunkReader{id: id, b: b, entry: e}
			err := r.verify(sc.buf, func(p []byte) error { return sc.pay(ctx, len(p)) })
			r.putTable()
			switch {
			case errors.Is(err, vstack.ErrCorrupt):
				sc.s.markBad(r, err)
				sc.bad(id, err)
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// identity checks the file STORE, which a running store does not need any more.
func (sc *scrubber) identity() error {
	path := filepath.Join(sc.s.cfg.Dir, identityName)
	p, err := vfs.ReadFile(sc.s.cfg.FS, path, 4096)
	if err != nil {
		return err
	}
	if id, err := format.DecodeIdentity(p); err != nil || id != sc.s.id {
		sc.report.Rot++
		sc.s.found(Finding{Kind: FindRot, File: path, Length: int64(len(p)), Err: errors.Join(err, format.ErrMalformed)})
	}
	return nil
}

// head checks the file's header and the zeros behind it.
func (sc *scrubber) head(ctx context.Context, b *superblock) error {
	p := sc.buf[:format.FileHeaderLen]
	if err := sc.pay(ctx, len(p)); err != nil {
		return err
	}
	var h format.FileHeader
	err := readFull(b, p, 0)
	if err == nil {
		err = h.Decode(p)
	}
	if err == nil && (h.ID != b.id || h.Salt != b.salt || !scan.AllZero(p[64:])) {
		err = fmt.Errorf("file header: %w", format.ErrMalformed)
	}
	if err != nil {
		sc.rot(b, 0, int64(len(p)), err)
	}
	return nil
}

// padding checks that what lies between records is zero. In a file with lost records
// it is what is left of them.
func (sc *scrubber) padding(ctx context.Context, b *superblock, from, to int64) error {
	if b.damaged {
		return nil
	}
	for at := from; at < to; {
		p := sc.buf[:min(int64(len(sc.buf)), to-at)]
		if err := sc.pay(ctx, len(p)); err != nil {
			return err
		}
		if err := readFull(b, p, at); err != nil {
			sc.rot(b, at, int64(len(p)), err)
		} else if !scan.AllZero(p) {
			sc.rot(b, at, int64(len(p)), fmt.Errorf("padding: %w", format.ErrMalformed))
		}
		at += int64(len(p))
	}
	return nil
}

// record checks one record: header, data and padding.
func (sc *scrubber) record(ctx context.Context, b *superblock, h *format.Header, off int64) error {
	if err := sc.pay(ctx, int(format.HeaderLen(h.DataLen))); err != nil {
		return err
	}
	r := &chunkReader{id: h.Value.Chunk, b: b, entry: index.NewEntry(h.LSN, b.id, off, h.DataLen)}
	defer r.putTable()
	var err error
	if h.Kind == format.KindChunk {
		err = r.verify(sc.buf, func(p []byte) error { return sc.pay(ctx, len(p)) })
	} else {
		err = r.loadTable()
	}
	sc.s.ix.RLock()
	live := sc.s.ix.Live(h, b.id).Bytes
	sc.s.ix.RUnlock()
	if live {
		sc.report.Chunks++
	}
	damage := errors.Is(err, vstack.ErrCorrupt)
	switch {
	case err != nil && !damage:
		return err
	case damage && live:
		sc.report.Bad++
		sc.s.markBad(r, err)
		sc.bad(h.Value.Chunk, err)
		return nil
	case damage:
		sc.rot(b, off, format.RecordLen(h.DataLen), err)
	}
	end := off + format.RecordLen(h.DataLen)
	return sc.padding(ctx, b, end-format.Align(int64(h.DataLen), format.RecordAlign)+int64(h.DataLen), end)
}
