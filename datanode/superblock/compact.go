package superblock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vstack/vstack/datanode/superblock/format"
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

// Compact frees the space of sealed files of which at least GarbageRatio is garbage:
// it appends what counts to the log again, under its old LSN, and removes the file
// when the copies are durable. At any crash each record is in the old file, in the
// new one or in both, and of two with one LSN either will do. Records of state move
// like bytes; a tombstone moves as long as an older record that it buries is in
// another file.
//
// It takes files worst first, yields to appends between records, and returns early
// with ctx's error. One runs at a time. ErrDiskFull: the reserve is used up.
func (s *Store) Compact(ctx context.Context) (CompactReport, error) {
	s.maintain.Lock()
	defer s.maintain.Unlock()
	var report CompactReport
	for _, id := range s.garbageFiles() {
		if err := s.compactable(ctx); err != nil {
			return report, fmt.Errorf("compact: %w", err)
		}
		err := s.compactFile(ctx, id, &report)
		if errors.Is(err, vstack.ErrCorrupt) {
			// Not even the records' headers can all be read: the file stays, and must not
			// keep the others from being compacted.
			s.cfg.Logger.Warn("superblock is too damaged to compact", "store", s.id, "file", fileName(id), "err", err)
			report.Kept++
			continue
		}
		if err != nil {
			return report, fmt.Errorf("compact %s: %w", fileName(id), err)
		}
	}
	return report, nil
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
	s.ix.RLock()
	defer s.ix.RUnlock()
	type candidate struct {
		id   uint32
		live float64
	}
	var found []candidate
	for id, b := range s.files {
		u := s.ix.Usage(id)
		live := float64(u.Live+u.Tombs) / float64(b.size)
		if b.sealed && !b.damaged && (b.rewrite || 1-live >= s.cfg.GarbageRatio) {
			found = append(found, candidate{id, live})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.live, b.live), cmp.Compare(a.id, b.id)) })
	ids := make([]uint32, len(found))
	for i, c := range found {
		ids[i] = c.id
	}
	return ids
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

// mover appends records of file b anew: chunks one by one, small records in batches.
type mover struct {
	s     *Store
	b     *superblock
	small []Record
	lsns  []vstack.LSN
	moved int64
	bad   bool // a live chunk could not be read: the file stays
}

// maxSmall bounds a batch of small records.
const maxSmall = 128

// consider moves what counts of one record.
func (m *mover) consider(ctx context.Context, h *format.Header, off int64, keepers map[vstack.LSN]bool) error {
	m.s.ix.RLock()
	p := m.s.ix.Live(h, m.b.id)
	e, _ := m.s.ix.Chunk(h.Value.Chunk)
	m.s.ix.RUnlock()
	rec := h.Record
	switch {
	case p.Bytes && e.Bad():
		m.bad = true
		return nil
	case p.Bytes:
		rec.Voted = p.State
		return m.moveChunk(ctx, rec, h, off)
	case p.State && h.Kind == KindChunk:
		rec.Kind, rec.Voted = KindVote, false
	case !p.State && !keepers[h.LSN]:
		return nil
	}
	m.small, m.lsns = append(m.small, rec), append(m.lsns, h.LSN)
	if len(m.small) < maxSmall {
		return nil
	}
	return m.flush(ctx)
}

func (m *mover) moveChunk(ctx context.Context, rec Record, h *format.Header, off int64) error {
	r := &chunkReader{id: h.Value.Chunk, b: m.b, entry: index.NewEntry(h.LSN, m.b.id, off, h.DataLen)}
	defer r.putTable()
	data := make([]byte, 0, h.DataLen)
	err := r.verify(make([]byte, min(int64(h.DataLen), readStep)), func(p []byte) error {
		data = append(data, p...)
		return nil
	})
	if err != nil { // kept, reported, not served: a peer's copy will replace it
		m.bad = true
		m.s.markBad(r, err)
		return nil
	}
	rec.Data = data
	return m.submit(ctx, []Record{rec}, []vstack.LSN{h.LSN})
}

func (m *mover) flush(ctx context.Context) error {
	if len(m.small) == 0 {
		return nil
	}
	err := m.submit(ctx, m.small, m.lsns)
	m.small, m.lsns = m.small[:0], m.lsns[:0]
	return err
}

func (m *mover) submit(ctx context.Context, recs []Record, lsns []vstack.LSN) error {
	r := &request{recs: make([]staged, len(recs)), class: classMove, from: m.b.id, ready: make(chan struct{})}
	for i := range recs {
		r.stage(i, recs[i], lsns[i])
	}
	if err := m.s.submit(ctx, r); err != nil {
		return err
	}
	m.moved += r.len
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
