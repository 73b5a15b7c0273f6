package superblock

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vstack/vstack/datanode/superblock/batch"
	"github.com/vstack/vstack/datanode/superblock/chunk"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/garbage"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/internal/vstack"
)

// CompactReport says what Compact did.
type CompactReport struct {
	Files int   `json:"files"` // removed
	Moved int64 `json:"moved"` // bytes of records written anew
	Freed int64 `json:"freed"` // bytes of the files removed
	Kept  int   `json:"kept"`  // files that stay because what counts in them cannot all be read
}

// Compact brings what sealed files take down to the live bytes and Overhead: it takes the
// files with the most garbage first, appends what counts in them to the log again, under
// its old LSN, and removes the file when the copies are durable. At any crash each record
// is in the old file, in the new one or in both, and of two with one LSN either will do.
// Records of state move like bytes; a tombstone moves as long as an older record that it
// buries is in another file.
//
// It yields to appends between batches, and returns early with ctx's error. One runs at a
// time. ErrDiskFull: the reserve is used up.
func (s *Store) Compact(ctx context.Context) (CompactReport, error) {
	s.maintain.Lock()
	defer s.maintain.Unlock()
	var report CompactReport
	done := map[uint32]bool{}
	// What moves fills the active file, which is sealed then with garbage of its own, and
	// has the others be judged anew. Files that begin meanwhile are for the next time.
	newest := slices.Max(append(s.fileIDs(), 0))
	for {
		ids := slices.DeleteFunc(s.garbageFiles(), func(id uint32) bool { return done[id] || id > newest })
		if len(ids) == 0 {
			return report, nil
		}
		for _, id := range ids {
			done[id] = true
			if err := s.compactOne(ctx, id, &report); err != nil {
				return report, fmt.Errorf("compact %s: %w", fileName(id), err)
			}
		}
	}
}

// compactOne is compactFile for a file that may be damaged.
func (s *Store) compactOne(ctx context.Context, id uint32, report *CompactReport) error {
	err := s.compactable(ctx)
	if err == nil {
		err = s.compactFile(ctx, id, report)
	}
	if errors.Is(err, vstack.ErrCorrupt) {
		// Not even the records' headers can all be read: the file stays, and must not keep
		// the others from being compacted.
		s.cfg.Logger.Warn("superblock is too damaged to compact", "store", s.id, "file", fileName(id), "err", err)
		report.Kept++
		return nil
	}
	return err
}

// compactable reports why compaction cannot go on.
func (s *Store) compactable(ctx context.Context) error {
	if s.isClosed() {
		return vstack.ErrClosed
	}
	if err := s.failure(); err != nil {
		return err
	}
	return ctx.Err()
}

// garbageFiles lists the files worth compacting, worst first.
func (s *Store) garbageFiles() []uint32 {
	st := s.Stats()
	overhead := garbage.Overhead(s.cfg.Overhead, st.Free, st.Capacity, s.cfg.SuperblockSize)
	s.ix.RLock()
	defer s.ix.RUnlock()
	var files []garbage.File
	for id, b := range s.files {
		if b.sealed && !b.damaged {
			u := s.ix.Usage(id)
			files = append(files, garbage.File{ID: id, Size: b.size, Live: u.Live + u.Tombs, Records: b.count, Entry: b.version.EntryLen(), Rewrite: b.rewrite})
		}
	}
	return garbage.Choose(files, overhead, s.cfg.GarbageRatio)
}

// compactFile moves what counts out of one file and removes it.
func (s *Store) compactFile(ctx context.Context, id uint32, report *CompactReport) error {
	s.ix.RLock()
	b := s.files[id].acquire() // only Compact removes files, one at a time
	s.ix.RUnlock()
	defer b.release() //nolint:errcheck // a file about to be removed loses nothing by a failed close
	keepers, err := s.buryingTombstones(b)
	if err != nil {
		return err
	}
	mv := &mover{s: s, b: b}
	var moveErr error
	_, err = s.eachEntry(b, func(h *format.Header, off int64) bool {
		if moveErr = s.compactable(ctx); moveErr == nil {
			moveErr = mv.consider(ctx, h, off, keepers)
		}
		return moveErr == nil
	})
	if err == nil {
		err = moveErr
	}
	if err == nil {
		err = mv.flush(ctx)
	}
	report.Moved += mv.moved
	if err != nil {
		return err
	}
	if mv.bad {
		report.Kept++
		return nil
	}
	report.Files++
	report.Freed += b.size
	return s.removeFile(b)
}

// removeFile unlinks a file in which nothing counts any more. Readers that hold a
// reference go on. The removal is durable before another file is compacted, which may
// give up tombstones that only this file needed.
func (s *Store) removeFile(b *superblock) error {
	s.ix.Lock()
	delete(s.files, b.id)
	s.ix.Remove(b.id)
	s.ix.Unlock()
	err := s.cfg.FS.Remove(b.path)
	if err == nil {
		err = s.cfg.FS.SyncDir(s.cfg.Dir)
	}
	if err != nil {
		s.fail(fmt.Errorf("remove superblock %s: %w", b.path, err))
		return s.failure()
	}
	return b.release()
}

// mover appends records of file b anew, in batches: each group of the log starts on a page
// of its own, so that records which move one by one would make garbage of their own.
type mover struct {
	s     *Store
	b     *superblock
	recs  []Record
	lsns  []vstack.LSN
	bytes int // of data in recs
	moved int64
	bad   bool // a live piece could not be read: the file stays
}

// A batch of moved records is bounded by their number and by the bytes of their data, of
// which a single piece may have more: by maxMovedBytes, and an eighth of a file.
const (
	maxMoved      = 128
	maxMovedBytes = 2 << 20
)

// consider moves what counts of one record.
func (m *mover) consider(ctx context.Context, h *format.Header, off int64, keepers map[vstack.LSN]bool) error {
	m.s.ix.RLock()
	p := m.s.ix.Live(h, m.b.id)
	e, _ := m.s.ix.Piece(h.Value.Chunk, h.Piece)
	m.s.ix.RUnlock()
	rec := h.Record
	rec.KeyGeneration = 0 // until its bytes are here
	switch {
	case p.Bytes && e.Bad():
		m.bad = true
		return nil
	case p.Bytes:
		rec.Voted = p.State
		if ok, err := m.load(&rec, e); err != nil || !ok {
			return err
		}
	case p.State && h.Kind == KindChunk:
		rec.Kind, rec.Voted = KindVote, false
	case !p.State && !keepers[h.LSN]:
		return nil
	}
	if len(m.recs) == maxMoved || int64(m.bytes+len(rec.Data)) > min(maxMovedBytes, m.s.cfg.SuperblockSize/8) {
		if err := m.flush(ctx); err != nil {
			return err
		}
	}
	m.recs, m.lsns, m.bytes = append(m.recs, rec), append(m.lsns, h.LSN), m.bytes+len(rec.Data)
	return nil
}

// load reads a piece's data and leaf table; false if it is bad. A sealed record moves as it is:
// opening it and sealing it anew would cost twice and prove nothing more (docs/adr/0014). One
// that lacks a right leaf table is opened, for the table is made of plain bytes.
func (m *mover) load(rec *Record, e index.Entry) (ok bool, err error) {
	r := m.b.reader(rec.Value.Chunk, e)
	defer r.Close()
	data := make([]byte, 0, e.DataLen())
	read := r.Plain
	if m.asItIs(r, rec) {
		read = r.Verify
	}
	err = read(make([]byte, min(int64(e.DataLen()), chunk.Step)), func(p []byte) error {
		data = append(data, p...)
		return nil
	})
	if err != nil { // kept, reported, not served: a peer's copy will replace it
		m.bad = true
		m.s.markBad(r, err)
		return false, nil
	}
	rec.Data = data
	switch {
	case rec.Sealing != nil: // with it came the table
	case !e.Piece().IsChunk():
		rec.Leaves, err = m.s.leavesOf(r) // as it came: the fragment alone does not make it
	case m.s.appends() >= format.V2: // what a copy says of its bytes is made of its bytes
		rec.Leaves = vstack.LeavesOf(data)
	}
	return err == nil, err
}

// asItIs fills in what a sealed record says beside its data, and reports whether it can move
// without being opened.
func (m *mover) asItIs(r *pieceReader, rec *Record) bool {
	shape := r.Entry.Shape()
	if !shape.Sealed() || r.Entry.HasLeaves() != (shape.Leaves > 0) || shape.Leaves == 0 && r.Entry.Piece().IsChunk() || r.Load() != nil {
		return false
	}
	if shape.Leaves > 0 {
		t, err := r.StoredLeaves()
		if err != nil {
			return false
		}
		rec.Leaves = t
	}
	rec.Sealing, rec.KeyGeneration = r.Sealing()
	return true
}

// flush appends what was gathered, as one batch.
func (m *mover) flush(ctx context.Context) error {
	if len(m.recs) == 0 {
		return nil
	}
	r := &request{Batch: batch.New(m.recs, m.lsns, m.s.box.Load()), class: classMove, from: m.b.id, ready: make(chan struct{})}
	if err := m.s.submit(ctx, r); err != nil {
		return err
	}
	m.moved += r.Len
	m.recs, m.lsns, m.bytes = m.recs[:0], m.lsns[:0], 0
	return nil
}

// buryingTombstones returns the LSNs of b's tombstones that still bury a record in
// another file.
func (s *Store) buryingTombstones(b *superblock) (map[vstack.LSN]bool, error) {
	g := index.NewGraves()
	var newest vstack.LSN
	_, err := s.eachEntry(b, func(h *format.Header, _ int64) bool {
		if g.Add(h) {
			newest = max(newest, h.LSN)
		}
		return true
	})
	needed := map[vstack.LSN]bool{}
	if err != nil || newest == 0 {
		return needed, err
	}
	for _, other := range s.filesByID() {
		s.ix.RLock()
		old := other.first < newest
		s.ix.RUnlock()
		if err == nil && old && other != b {
			_, err = s.eachEntry(other, func(h *format.Header, _ int64) bool {
				g.Mark(h, needed)
				return true
			})
		}
		_ = other.release() // it was only read
	}
	return needed, err
}
