package superblock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vstack/vstack/datanode/superblock/chunk"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/internal/vstack"
)

// Info describes a stored piece: a chunk or a fragment of one.
type Info struct {
	ID    vstack.ChunkID
	Piece vstack.Piece // zero for a chunk
	Size  uint32       // of the whole chunk, in bytes; Piece.Size(Size) are here
	LSN   vstack.LSN
	Bad   bool // its bytes are known to fail their checksum
}

// Lookup tells from memory whether a chunk's bytes are here and not known to be bad.
// For a bad chunk it returns false with Info filled and Info.Bad set.
func (s *Store) Lookup(id vstack.ChunkID) (Info, bool) { return s.LookupPiece(id, vstack.Piece{}) }

// LookupPiece is Lookup for a piece of a chunk.
func (s *Store) LookupPiece(id vstack.ChunkID, p vstack.Piece) (Info, bool) {
	s.ix.RLock()
	defer s.ix.RUnlock()
	e, ok := s.ix.Piece(id, p)
	if !ok {
		return Info{}, false
	}
	return infoOf(id, e), !e.Bad()
}

func infoOf(id vstack.ChunkID, e index.Entry) Info {
	return Info{ID: id, Piece: e.Piece(), Size: e.Size(), LSN: e.LSN(), Bad: e.Bad()}
}

// Pieces lists what is here of a chunk, bad pieces included: the chunk first, then
// fragments in order.
func (s *Store) Pieces(id vstack.ChunkID) []Info {
	var out []Info
	s.ix.RLock()
	s.ix.Pieces(id, func(e index.Entry) { out = append(out, infoOf(id, e)) })
	s.ix.RUnlock()
	slices.SortFunc(out, func(a, b Info) int { return comparePieces(a.Piece, b.Piece) })
	return out
}

func comparePieces(a, b vstack.Piece) int {
	return cmp.Or(cmp.Compare(a.K, b.K), cmp.Compare(a.M, b.M), cmp.Compare(a.I, b.I))
}

// ReadAt reads from a chunk at off into p. Every 64 KiB block that it touches has
// passed its CRC32C before ReadAt returns; it returns a count above 0 only for checked
// bytes. As an io.ReaderAt it returns io.EOF if p reaches beyond the chunk's end.
//
// Errors: ErrNotFound, ErrCorrupt (the chunk is marked bad, too), ErrRangeInvalid (off
// is outside the chunk), ErrClosed. Whole blocks are read straight into p and cost no
// copy: reads that start and end on multiples of 64 KiB are the cheapest.
func (s *Store) ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error) {
	return s.ReadPieceAt(ctx, id, vstack.Piece{}, p, off)
}

// ReadPieceAt is ReadAt for a piece of a chunk; off is an offset in the piece. Of a
// fragment the checksums say that it is what was stored, not that it is the chunk's.
func (s *Store) ReadPieceAt(ctx context.Context, id vstack.ChunkID, piece vstack.Piece, p []byte, off int64) (int, error) {
	r, err := s.openPiece(id, piece)
	if err != nil {
		return 0, err
	}
	defer r.close()
	n, err := r.ReadAt(ctx, p, off)
	if errors.Is(err, vstack.ErrCorrupt) {
		s.markBad(r, err)
	}
	return n, err
}

// pieceReader reads one piece and holds a reference to its file.
type pieceReader struct {
	chunk.Reader
	b *superblock
}

// reader reads a piece in a file to which the caller has a reference.
func (b *superblock) reader(id vstack.ChunkID, e index.Entry) *pieceReader {
	return &pieceReader{chunk.Reader{ID: id, Entry: e, File: b.f, Path: b.path, Version: b.version, Salt: b.salt, Box: b.box}, b}
}

// openPiece finds a piece and takes a reference to its file.
func (s *Store) openPiece(id vstack.ChunkID, p vstack.Piece) (*pieceReader, error) {
	s.ix.RLock()
	e, ok := s.ix.Piece(id, p)
	var b *superblock
	if ok {
		if b = s.files[e.File]; b != nil {
			b.acquire()
		}
	}
	s.ix.RUnlock()
	switch {
	case !ok:
		return nil, fmt.Errorf("chunk %s: %w", chunk.Name(id, p), vstack.ErrNotFound)
	case b == nil: // Close took the files
		return nil, fmt.Errorf("chunk %s: %w", chunk.Name(id, p), vstack.ErrClosed)
	}
	r := b.reader(id, e)
	if e.Bad() {
		r.close()
		return nil, fmt.Errorf("chunk %s: marked bad before: %w", chunk.Name(id, p), vstack.ErrCorrupt)
	}
	return r, nil
}

// close gives the file back.
func (r *pieceReader) close() {
	r.Close()
	// A failed close of a file that was only read loses nothing.
	_ = r.b.release()
}

// markBad keeps a piece from being served or voted for again, until it is stored anew.
func (s *Store) markBad(r *pieceReader, err error) {
	s.metrics.CRCFailed.Inc()
	s.ix.Lock()
	first := s.ix.MarkBad(r.ID, r.Entry)
	s.ix.Unlock()
	if first {
		s.found(Finding{Kind: FindChunk, File: r.b.path, Offset: r.Entry.Offset(), Length: r.Entry.Shape().Len(), Chunk: r.ID, Piece: r.Entry.Piece(), Err: err})
	}
}

// Condemn marks a piece as bad whose checksums may be right, since its bytes are not the
// chunk's: only joining fragments tells that of one.
func (s *Store) Condemn(id vstack.ChunkID, p vstack.Piece, why error) {
	r, err := s.openPiece(id, p)
	if err != nil {
		return // gone, or known to be bad
	}
	defer r.close()
	s.markBad(r, why)
}
