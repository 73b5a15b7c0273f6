package superblock

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// LeafTable is the leaf table that is stored with a chunk, and nil where none is, or where
// it is known not to be that of the bytes: then it has to be made of them.
//
// Errors: ErrNotFound, ErrCorrupt (the chunk is known to be bad), ErrClosed.
func (s *Store) LeafTable(ctx context.Context, id vstack.ChunkID) (vstack.LeafTable, error) {
	return s.PieceLeaves(ctx, id, vstack.Piece{})
}

// PieceLeaves is LeafTable for a piece of a chunk: a fragment has the whole chunk's table,
// as it came, which only joining fragments proves.
func (s *Store) PieceLeaves(_ context.Context, id vstack.ChunkID, p vstack.Piece) (vstack.LeafTable, error) {
	r, err := s.openPiece(id, p)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return s.leavesOf(r)
}

// leavesOf is the record's leaf table, nil if it has none that can be used.
func (s *Store) leavesOf(r *pieceReader) (vstack.LeafTable, error) {
	if !r.Entry.HasLeaves() {
		return nil, nil
	}
	t, err := r.Leaves()
	if errors.Is(err, vstack.ErrCorrupt) {
		s.doubt(r, err) // of the table: the bytes have CRCs of their own
		return nil, nil
	}
	return t, err
}

// compare holds the record's leaf table to the one of its bytes; ErrCorrupt if it is another.
func compare(r *pieceReader, right vstack.LeafTable) error {
	stored, err := r.Leaves()
	if err == nil && !slices.Equal(stored, right) {
		err = fmt.Errorf("leaf table of chunk %s: %w: %w: it is not that of the bytes, its writer's mistake", r.ID.Short(), vstack.ErrCorrupt, format.ErrMalformed)
	}
	return err
}

// doubt gives a leaf table up: it is not answered again, and compaction writes the right one.
func (s *Store) doubt(r *pieceReader, err error) {
	s.ix.Lock()
	first := s.ix.DoubtLeaves(r.ID, r.Entry)
	r.b.rewrite = r.b.rewrite || first
	s.ix.Unlock()
	if first {
		s.found(Finding{Kind: FindRot, File: r.b.path, Offset: r.Entry.Offset(), Length: r.Entry.Shape().Len(), Chunk: r.ID, Piece: r.Entry.Piece(), Err: err})
	}
}

// piece checks a piece's record: its data, and the leaf table of a chunk against that. The
// data of a fragment says nothing of the table beside it.
func (sc *scrubber) piece(ctx context.Context, r *pieceReader) error {
	pay := func(p []byte) error { return sc.pay(ctx, len(p)) }
	if !r.Entry.HasLeaves() {
		return r.Verify(sc.buf, pay)
	}
	if !r.Entry.Piece().IsChunk() {
		if err := r.Verify(sc.buf, pay); err != nil {
			return err
		}
		_, err := r.Leaves()
		return sc.leaves(r, err)
	}
	right, err := r.Hash(sc.buf, pay)
	if err != nil {
		return err
	}
	return sc.leaves(r, compare(r, right))
}

// leaves counts a leaf table that is not right, and gives it up.
func (sc *scrubber) leaves(r *pieceReader, err error) error {
	if !errors.Is(err, vstack.ErrCorrupt) {
		return err
	}
	sc.report.Rot++
	sc.s.doubt(r, err)
	return nil
}
