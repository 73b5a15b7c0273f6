package superblock

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/vstack/vstack/datanode/superblock/batch"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// class says which part of the reserve a request may use.
type class uint8

const (
	classChunk class = iota // brings new bytes: none of it
	classState              // promises, votes, tombstones
	classMove               // compaction
)

// request is one batch on its way to the disk. The caller's Data is referenced, not
// copied, so the caller waits for ready whatever happens to its context.
type request struct {
	batch.Batch
	// upgrade asks the writer to append in this version from now on; there are no records.
	upgrade format.Version
	class   class
	from    uint32 // classMove: the file that the records come from
	above   vstack.LSN
	lsn     vstack.LSN
	err     error
	ready   chan struct{}
}

// zeros pads groups.
var zeros [format.GroupAlign]byte

// Append writes recs as one atomic batch and returns the LSN of the last one when it
// is durable. Appends that wait at the same time share one write and one fdatasync.
//
// ctx counts until the batch is queued; from then on Append waits for its outcome.
// Errors: ErrInvalid (of fragments also before Upgrade to format.V3), ErrTooLarge, ErrDiskFull (nothing was written; reads, promises
// and tombstones go on), ErrBytesMissing (a vote for bytes that are not here),
// ErrClosed, ErrUnavailable after an I/O error: the batch may or may not be on disk.
func (s *Store) Append(ctx context.Context, recs ...Record) (vstack.LSN, error) {
	return s.AppendAbove(ctx, 0, recs...)
}

// AppendAbove is Append with LSNs above the given one: the log goes on from there.
func (s *Store) AppendAbove(ctx context.Context, above vstack.LSN, recs ...Record) (vstack.LSN, error) {
	if len(recs) == 0 || len(recs) > format.MaxBatch {
		return 0, fmt.Errorf("append: %w: %d records, want 1 to %d", vstack.ErrInvalid, len(recs), format.MaxBatch)
	}
	class := classState
	for i := range recs {
		if err := recs[i].Validate(); err != nil {
			return 0, fmt.Errorf("append: %w", err)
		}
		if recs[i].Kind.HasData() {
			class = classChunk
		}
		if err := s.mayKeep(&format.Header{Record: recs[i], Version: s.appends()}); err != nil {
			return 0, fmt.Errorf("append: %w: %v", vstack.ErrInvalid, err)
		}
		if recs[i].KeyGeneration != 0 || recs[i].Sealing != nil { // the store says so itself
			return 0, fmt.Errorf("append: %w: a record that is sealed", vstack.ErrInvalid)
		}
	}
	r := &request{Batch: batch.New(recs, nil, s.box.Load()), class: class, above: above, ready: make(chan struct{})}
	if err := s.submit(ctx, r); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	return r.lsn, nil
}

// submit queues r and waits for its outcome.
func (s *Store) submit(ctx context.Context, r *request) error {
	defer r.Release()
	r.Lay(s.appends())
	if err := s.small(r); err != nil {
		return err
	}
	if err := s.enqueue(ctx, r); err != nil {
		return err
	}
	<-r.ready
	return r.err
}

// small wants a request to fit into an empty file.
func (s *Store) small(r *request) error {
	if format.Align(format.FileHeaderLen+r.Len, format.GroupAlign)+r.Version.FooterLen(len(r.Recs))+s.tailReserve() > s.cfg.SuperblockSize {
		return fmt.Errorf("batch of %d bytes in superblocks of %d: %w", r.Len, s.cfg.SuperblockSize, vstack.ErrTooLarge)
	}
	return nil
}

func (s *Store) enqueue(ctx context.Context, r *request) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return vstack.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the writer's goroutine: one group after the other, each with one fdatasync,
// until the queue is closed and empty.
func (s *Store) write() {
	defer close(s.done)
	var held *request // taken from the queue, but did not fit into the group
	for {
		first := held
		held = nil
		if first == nil {
			r, ok := <-s.queue
			if !ok {
				return
			}
			first = r
		}
		if first.upgrade != 0 {
			first.finish(s.upgradeTo(first.upgrade))
			continue
		}
		var group []*request
		group, held = s.gather(first)
		if len(group) > 0 {
			s.commit(group)
		}
	}
}

// finish tells a request's outcome.
func (r *request) finish(err error) {
	r.err = err
	close(r.ready)
}

// gather makes a group of first and of what waits behind it.
func (s *Store) gather(first *request) (group []*request, held *request) {
	overlay := map[vstack.ChunkID]bool{}
	var bytes int64
	var records int
	for r := first; ; {
		if err := s.admit(r, bytes, records, overlay); err != nil {
			if errors.Is(err, errNextGroup) {
				return group, r
			}
			r.finish(err)
		} else {
			group = append(group, r)
			bytes += r.Len
			records += len(r.Recs)
		}
		select {
		case next, ok := <-s.queue:
			if !ok {
				return group, nil
			}
			if next.upgrade != 0 {
				return group, next
			}
			r = next
		default:
			return group, nil
		}
	}
}

// errNextGroup says that a request fits, but not into this group.
var errNextGroup = errors.New("next group")

// admit decides whether r joins a group that already has bytes in records. overlay is
// what the group does to chunks: true is stored, false is dropped.
func (s *Store) admit(r *request, bytes int64, records int, overlay map[vstack.ChunkID]bool) error {
	if err := s.failure(); err != nil {
		return err
	}
	if v := s.appends(); r.Version != v { // it was laid out before an upgrade
		if r.Lay(v); s.small(r) != nil {
			return s.small(r)
		}
	}
	if records > 0 && bytes+r.Len > s.cfg.GroupBytes {
		return errNextGroup
	}
	if !s.hasRoom(r, bytes, records) {
		if records > 0 {
			return errNextGroup
		}
		if err := s.roll(r); err != nil {
			return err
		}
	}
	if r.class == classMove {
		return nil
	}
	return s.checkBytes(r, overlay)
}

// checkBytes holds a request to "no vote without bytes".
func (s *Store) checkBytes(r *request, overlay map[vstack.ChunkID]bool) error {
	s.ix.RLock()
	defer s.ix.RUnlock()
	own := map[vstack.ChunkID]bool{} // counts for the group only if all of r does
	for i := range r.Recs {
		h := &r.Recs[i].Header
		switch {
		case h.Kind == KindChunk:
			own[h.Value.Chunk] = true
		case h.Kind == KindDrop:
			own[h.Value.Chunk] = false
		case h.Kind == KindVote || h.Stages():
			here, known := own[h.Value.Chunk]
			if !known {
				here, known = overlay[h.Value.Chunk]
			}
			if !known {
				e, ok := s.ix.Chunk(h.Value.Chunk)
				here = ok && !e.Bad()
			}
			if !here {
				return fmt.Errorf("vote for %s: %w", h.Value.Chunk.Short(), vstack.ErrBytesMissing)
			}
		}
	}
	maps.Copy(overlay, own)
	return nil
}

// commit writes a group, makes it durable, lets readers see it, and answers.
func (s *Store) commit(group []*request) {
	bufs, bytes := s.place(group)
	start := format.Align(s.active.end, format.GroupAlign)
	_, err := s.active.f.WritevAt(bufs, start)
	if err == nil {
		s.metrics.Fdatasyncs.Inc()
		err = s.active.f.Datasync() // its error is final: what the kernel did with the pages is unknown
	}
	if err != nil {
		err = fmt.Errorf("write group at %d of %s: %w", start, s.active.path, err)
		for _, r := range group {
			r.finish(fmt.Errorf("%w: %w", vstack.ErrUnavailable, err))
		}
		s.fail(err)
		return
	}
	records := s.publish(group)
	s.metrics.Group(records, bytes)
	s.prepare()
	for _, r := range group {
		r.finish(nil)
	}
}

// place gives every record its LSN and offset and returns what is to be written.
func (s *Store) place(group []*request) (bufs [][]byte, bytes int64) {
	start := format.Align(s.active.end, format.GroupAlign)
	off := start
	lsn := s.LSN()
	for gi, r := range group {
		lsn = max(lsn, r.above)
		for i := range r.Recs {
			h := &r.Recs[i].Header
			if r.class == classMove {
				h.Flags |= format.FlagMoved
			} else {
				lsn++
				h.LSN = lsn
			}
			r.lsn = h.LSN
		}
		bufs = r.Place(bufs, off, start, s.active.salt, gi == len(group)-1)
		off += r.Len
	}
	if pad := format.Align(off, format.GroupAlign) - off; pad > 0 {
		bufs = append(bufs, zeros[:pad])
	}
	return bufs, format.Align(off, format.GroupAlign) - start
}

// publish takes a durable group into the index.
func (s *Store) publish(group []*request) (records int) {
	s.ix.Lock()
	defer s.ix.Unlock()
	for _, r := range group {
		for i := range r.Recs {
			st := &r.Recs[i]
			s.active.add(st.Buf, &st.Header, st.Off)
			if r.class == classMove {
				s.ix.Move(&st.Header, r.from, s.active.id, st.Off)
				continue
			}
			s.ix.Apply(&st.Header, s.active.id, st.Off)
			s.lsn.Store(uint64(st.Header.LSN))
		}
		records += len(r.Recs)
	}
	return records
}
