package superblock

import (
	"context"
	"errors"
	"fmt"
	"maps"

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
	recs  []staged
	len   int64 // in the file
	class class
	from  uint32 // classMove: the file that the records come from
	lsn   vstack.LSN
	err   error
	ready chan struct{}
}

// staged is a record with all that can be computed before its place is known.
type staged struct {
	h      format.Header
	buf    []byte // the encoded header
	blocks []uint32
	data   []byte
	off    int64
}

// zeros pads records and groups.
var zeros [format.GroupAlign]byte

// Append writes recs as one atomic batch and returns the LSN of the last one when it
// is durable. Appends that wait at the same time share one write and one fdatasync.
//
// ctx counts until the batch is queued; from then on Append waits for its outcome.
// Errors: ErrInvalid, ErrTooLarge, ErrDiskFull (nothing was written; reads, promises
// and tombstones go on), ErrBytesMissing (a vote for bytes that are not here),
// ErrClosed, ErrUnavailable after an I/O error: the batch may or may not be on disk.
func (s *Store) Append(ctx context.Context, recs ...Record) (vstack.LSN, error) {
	if len(recs) == 0 || len(recs) > format.MaxBatch {
		return 0, fmt.Errorf("append: %w: %d records, want 1 to %d", vstack.ErrInvalid, len(recs), format.MaxBatch)
	}
	r := &request{recs: make([]staged, len(recs)), class: classState, ready: make(chan struct{})}
	for i := range recs {
		if err := recs[i].Validate(); err != nil {
			return 0, fmt.Errorf("append: %w", err)
		}
		if recs[i].Kind == KindChunk {
			r.class = classChunk
		}
		r.stage(i, recs[i], 0)
	}
	if err := s.submit(ctx, r); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	return r.lsn, nil
}

// stage prepares record i of the batch; lsn is set for records that keep theirs.
func (r *request) stage(i int, rec Record, lsn vstack.LSN) {
	st := &r.recs[i]
	st.data = rec.Data
	st.h = format.Header{Record: rec, DataLen: uint32(len(rec.Data)), LSN: lsn, BatchIndex: uint16(i), BatchCount: uint16(len(r.recs))}
	st.h.Data = nil
	st.buf = make([]byte, format.HeaderLen(st.h.DataLen))
	st.blocks = format.BlockCRCs(rec.Data)
	r.len += format.RecordLen(st.h.DataLen)
}

// submit queues r and waits for its outcome.
func (s *Store) submit(ctx context.Context, r *request) error {
	if format.Align(format.FileHeaderLen+r.len, format.GroupAlign)+format.FooterLen(len(r.recs))+s.tailReserve() > s.cfg.SuperblockSize {
		return fmt.Errorf("batch of %d bytes in superblocks of %d: %w", r.len, s.cfg.SuperblockSize, vstack.ErrTooLarge)
	}
	if err := s.enqueue(ctx, r); err != nil {
		return err
	}
	<-r.ready
	return r.err
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
			bytes += r.len
			records += len(r.recs)
		}
		select {
		case next, ok := <-s.queue:
			if !ok {
				return group, nil
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
	if records > 0 && bytes+r.len > s.cfg.GroupBytes {
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
	for i := range r.recs {
		h := &r.recs[i].h
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
		s.metrics.fdatasyncs.Inc()
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
	s.metrics.group(records, bytes)
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
		for i := range r.recs {
			st := &r.recs[i]
			st.off, st.h.Group, st.h.Salt = off, start, s.active.salt
			if r.class == classMove {
				st.h.Flags |= format.FlagMoved
			} else {
				lsn++
				st.h.LSN = lsn
			}
			if gi == len(group)-1 && i == len(r.recs)-1 {
				st.h.Flags |= format.FlagGroupEnd
			}
			st.h.Encode(st.buf, st.blocks)
			bufs = append(bufs, st.buf)
			if n := int64(len(st.data)); n > 0 {
				bufs = append(bufs, st.data)
				if pad := format.Align(n, format.RecordAlign) - n; pad > 0 {
					bufs = append(bufs, zeros[:pad])
				}
			}
			off += format.RecordLen(st.h.DataLen)
		}
		r.lsn = r.recs[len(r.recs)-1].h.LSN
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
		for i := range r.recs {
			st := &r.recs[i]
			s.active.add(st.buf, &st.h, st.off)
			if r.class == classMove {
				s.ix.Move(&st.h, r.from, s.active.id, st.off)
				continue
			}
			s.ix.Apply(&st.h, s.active.id, st.off)
			s.lsn.Store(uint64(st.h.LSN))
		}
		records += len(r.recs)
	}
	return records
}
