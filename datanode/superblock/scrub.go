package superblock

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"golang.org/x/time/rate"

	"github.com/vstack/vstack/datanode/superblock/chunk"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/datanode/superblock/scan"
	"github.com/vstack/vstack/datanode/superblock/stamp"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// ScrubReport says what Scrub read and found.
type ScrubReport struct {
	Chunks int   `json:"chunks"` // live pieces read: chunks and fragments
	Bytes  int64 `json:"bytes"`  // read, of all kinds
	Bad    int   `json:"bad"`    // live pieces that are bad, found now or before
	Rot    int   `json:"rot"`    // other damage: headers, footers, padding, leaf tables, dead records
	// Unproven are fragments that nobody could hold to their chunk; Scrub itself does not.
	Unproven int `json:"unproven"`
}

// Scrub reads every byte behind which something is recorded, at most bytesPerSecond (0:
// no limit), and checks all of it: data, record headers, padding, footers. It calls
// bad for every live piece that is bad, also for those known before. Other damage is a
// finding, and Compact will rewrite its file. It returns early with ctx's error; one
// runs at a time.
//
// A pass may take days, so it holds up nothing: files that compaction removes meanwhile
// are left, also in the middle, for what counted in them was checked as it moved.
func (s *Store) Scrub(ctx context.Context, bytesPerSecond int64, bad func(vstack.ChunkID, vstack.Piece, error)) (ScrubReport, error) {
	s.scrubbing.Lock()
	defer s.scrubbing.Unlock()
	sc := &scrubber{s: s, bad: bad, buf: make([]byte, chunk.Step), limit: rate.NewLimiter(rate.Inf, 0)}
	if bytesPerSecond > 0 {
		sc.limit = rate.NewLimiter(rate.Limit(bytesPerSecond), chunk.Step)
	}
	if err := sc.identity(); err != nil {
		return sc.report, err
	}
	for _, id := range s.fileIDs() {
		b, ok := s.acquire(id)
		if !ok {
			continue
		}
		err := sc.file(ctx, b)
		_ = b.release() // it was only read
		if err != nil && !errors.Is(err, errFileGone) {
			return sc.report, fmt.Errorf("scrub %s: %w", b.path, err)
		}
	}
	return sc.report, nil
}

// errFileGone says that compaction removed the file being scrubbed.
var errFileGone = errors.New("removed by compaction")

// fileIDs lists the files that there are now, ascending.
func (s *Store) fileIDs() []uint32 {
	s.ix.RLock()
	defer s.ix.RUnlock()
	return slices.Sorted(maps.Keys(s.files))
}

// acquire takes a reference to a file, if it is still there.
func (s *Store) acquire(id uint32) (*superblock, bool) {
	s.ix.RLock()
	defer s.ix.RUnlock()
	b, ok := s.files[id]
	if ok {
		b.acquire()
	}
	return b, ok
}

// scrubber is one run of Scrub.
type scrubber struct {
	s      *Store
	bad    func(vstack.ChunkID, vstack.Piece, error)
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
			// the pieces among them; of the others the gap is found below, as no padding.
			err = sc.piecesOf(ctx, b)
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
	for i := range len(entries) / b.version.EntryLen() {
		off, err := format.DecodeEntry(entries, i, &h, b.version)
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
		next = off + h.Len()
	}
	if next < end {
		return sc.padding(ctx, b, next, end)
	}
	return nil
}

// piecesOf checks every piece that memory knows to lie in a file, whatever the file says.
func (sc *scrubber) piecesOf(ctx context.Context, b *superblock) error {
	for shard := range index.Shards {
		var known []*pieceReader
		sc.s.ix.RLock()
		sc.s.ix.Page(shard, vstack.ChunkID{}, func(id vstack.ChunkID, e index.Entry) {
			if e.File == b.id {
				known = append(known, b.reader(id, e))
			}
		})
		sc.s.ix.RUnlock()
		for _, r := range known {
			err := r.Verify(sc.buf, func(p []byte) error { return sc.pay(ctx, len(p)) })
			r.Close()
			switch {
			case errors.Is(err, vstack.ErrCorrupt):
				sc.s.markBad(r, err)
				sc.bad(r.ID, r.Entry.Piece(), err)
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// identity checks the file STORE, which a running store does not need any more.
func (sc *scrubber) identity() error {
	path := filepath.Join(sc.s.cfg.Dir, stamp.File)
	p, err := vfs.ReadFile(sc.s.cfg.FS, path, 4096)
	if err != nil {
		return err
	}
	if id, version, err := format.DecodeIdentity(p); err != nil || id != sc.s.id || version != sc.s.appends() {
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
	err := chunk.ReadFull(b.f, p, 0)
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
		if err := chunk.ReadFull(b.f, p, at); err != nil {
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
	if err := sc.pay(ctx, int(h.Shape().HeaderLen())); err != nil {
		return err
	}
	r := b.reader(h.Value.Chunk, index.EntryOf(h, b.id, off))
	defer r.Close()
	var err error
	if h.Kind.HasData() {
		err = sc.piece(ctx, r)
	} else {
		err = r.Load()
	}
	sc.s.ix.RLock()
	live := sc.s.ix.Live(h, b.id).Bytes
	gone := sc.s.files[b.id] != b
	sc.s.ix.RUnlock()
	if gone {
		return errFileGone
	}
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
		sc.bad(h.Value.Chunk, h.Piece, err)
		return nil
	case damage:
		sc.rot(b, off, h.Len(), err)
	}
	shape := h.Shape()
	if err := sc.padding(ctx, b, off+shape.HeaderLen()+int64(shape.Data), off+shape.LeavesOff()); err != nil {
		return err
	}
	return sc.padding(ctx, b, off+shape.LeavesOff()+int64(shape.Leaves), off+shape.Len())
}
