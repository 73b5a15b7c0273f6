package superblock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/internal/vstack"
)

// readStep is how much is read and then checked at a time: it still lies in the
// processor's cache when its CRC is computed.
const readStep = 4 * vstack.BlockSize

// edges are the buffers for blocks of which a caller wants a part, and for headers.
var edges = sync.Pool{New: func() any { return new([vstack.BlockSize]byte) }}

// Info describes a stored chunk.
type Info struct {
	ID   vstack.ChunkID
	Size uint32 // bytes
	LSN  vstack.LSN
	Bad  bool // its bytes are known to fail their checksum
}

// Lookup tells from memory whether a chunk's bytes are here and not known to be bad.
// For a bad chunk it returns false with Info filled and Info.Bad set.
func (s *Store) Lookup(id vstack.ChunkID) (Info, bool) {
	s.ix.RLock()
	defer s.ix.RUnlock()
	e, ok := s.ix.Chunk(id)
	if !ok {
		return Info{}, false
	}
	return infoOf(id, e), !e.Bad()
}

func infoOf(id vstack.ChunkID, e index.Entry) Info {
	return Info{ID: id, Size: e.Size(), LSN: e.LSN(), Bad: e.Bad()}
}

// ReadAt reads from a chunk at off into p. Every 64 KiB block that it touches has
// passed its CRC32C before ReadAt returns; it returns a count above 0 only for checked
// bytes. As an io.ReaderAt it returns io.EOF if p reaches beyond the chunk's end.
//
// Errors: ErrNotFound, ErrCorrupt (the chunk is marked bad, too), ErrRangeInvalid (off
// is outside the chunk), ErrClosed. Whole blocks are read straight into p and cost no
// copy: reads that start and end on multiples of 64 KiB are the cheapest.
func (s *Store) ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error) {
	r, err := s.openChunk(id)
	if err != nil {
		return 0, err
	}
	defer r.close()
	n, err := r.readAt(ctx, p, off)
	if errors.Is(err, vstack.ErrCorrupt) {
		s.markBad(r, err)
	}
	return n, err
}

// chunkReader holds a file reference and the checked header of one chunk.
type chunkReader struct {
	id    vstack.ChunkID
	entry index.Entry
	b     *superblock
	table *[vstack.BlockSize]byte // the encoded header, from the pool
}

// openChunk finds a chunk and takes a reference to its file.
func (s *Store) openChunk(id vstack.ChunkID) (*chunkReader, error) {
	s.ix.RLock()
	e, ok := s.ix.Chunk(id)
	var b *superblock
	if ok {
		if b = s.files[e.File]; b != nil {
			b.acquire()
		}
	}
	s.ix.RUnlock()
	switch {
	case !ok:
		return nil, fmt.Errorf("chunk %s: %w", id.Short(), vstack.ErrNotFound)
	case b == nil: // Close took the files
		return nil, fmt.Errorf("chunk %s: %w", id.Short(), vstack.ErrClosed)
	}
	r := &chunkReader{id: id, entry: e, b: b}
	if e.Bad() {
		r.close()
		return nil, fmt.Errorf("chunk %s: marked bad before: %w", id.Short(), vstack.ErrCorrupt)
	}
	return r, nil
}

// putTable gives the header's buffer back to the pool.
func (r *chunkReader) putTable() {
	if r.table != nil {
		edges.Put(r.table)
		r.table = nil
	}
}

func (r *chunkReader) close() {
	r.putTable()
	// A failed close of a file that was only read loses nothing.
	_ = r.b.release()
}

// corrupt wraps what was found wrong with the chunk. An unreadable sector is as bad
// as a wrong one.
func (r *chunkReader) corrupt(what string, err error) error {
	return fmt.Errorf("chunk %s in %s at %d: %s: %w: %w", r.id.Short(), r.b.path, r.entry.Offset(), what, vstack.ErrCorrupt, err)
}

// loadTable reads and checks the header with its block CRCs.
func (r *chunkReader) loadTable() error {
	r.table = edges.Get().(*[vstack.BlockSize]byte)
	b := r.table[:format.HeaderLen(r.entry.Size())]
	if err := readFull(r.b, b, r.entry.Offset()); err != nil {
		return r.corrupt("read header", err)
	}
	var h format.Header
	if err := h.Decode(b, r.b.salt); err != nil {
		return r.corrupt("header", err)
	}
	if h.Value.Chunk != r.id || h.DataLen != r.entry.Size() || h.LSN != r.entry.LSN() {
		return r.corrupt("header", fmt.Errorf("%w: it is of chunk %s, %d bytes, LSN %d", format.ErrMalformed, h.Value.Chunk.Short(), h.DataLen, h.LSN))
	}
	return nil
}

func (r *chunkReader) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	size := int64(r.entry.Size())
	if off < 0 || off > size || (off == size && len(p) > 0) {
		return 0, fmt.Errorf("chunk %s of %d bytes: read at %d: %w", r.id.Short(), size, off, vstack.ErrRangeInvalid)
	}
	var eof error
	if int64(len(p)) > size-off {
		p, eof = p[:size-off], io.EOF
	}
	if len(p) == 0 {
		return 0, eof
	}
	if err := r.loadTable(); err != nil {
		return 0, err
	}
	done := 0
	for done < len(p) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		n, err := r.step(p[done:], off+int64(done), size)
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, eof
}

// step reads some checked bytes at off: whole blocks straight into p, else a part of
// one block by way of a pooled buffer.
func (r *chunkReader) step(p []byte, off, size int64) (int, error) {
	block := off / vstack.BlockSize
	start := block * vstack.BlockSize
	if whole := wholeBlocks(int64(len(p)), off, size); off == start && whole > 0 {
		n := min(whole, readStep)
		return int(n), r.readBlocks(p[:n], int(block))
	}
	buf := edges.Get().(*[vstack.BlockSize]byte)
	defer edges.Put(buf)
	b := buf[:min(vstack.BlockSize, size-start)]
	if err := r.readBlocks(b, int(block)); err != nil {
		return 0, err
	}
	return copy(p, b[off-start:]), nil
}

// wholeBlocks is how many of n bytes at off are whole blocks; the chunk's last block
// is whole at whatever length it has.
func wholeBlocks(n, off, size int64) int64 {
	if off+n >= size {
		return size - off
	}
	return n / vstack.BlockSize * vstack.BlockSize
}

// readBlocks reads whole blocks from number first on and checks each.
func (r *chunkReader) readBlocks(p []byte, first int) error {
	data := r.entry.Offset() + format.HeaderLen(r.entry.Size())
	if err := readFull(r.b, p, data+int64(first)*vstack.BlockSize); err != nil {
		return r.corrupt(fmt.Sprintf("read block %d", first), err)
	}
	for i := first; len(p) > 0; i++ {
		n := min(len(p), vstack.BlockSize)
		if got, want := format.CRC(p[:n]), format.BlockCRC(r.table[:], i); got != want {
			return r.corrupt(fmt.Sprintf("block %d", i), fmt.Errorf("%w: CRC %08x, want %08x", format.ErrMalformed, got, want))
		}
		p = p[n:]
	}
	return nil
}

// verify checks the whole chunk through buf, of whole blocks; use sees each piece.
func (r *chunkReader) verify(buf []byte, use func([]byte) error) error {
	if err := r.loadTable(); err != nil {
		return err
	}
	size := int64(r.entry.Size())
	for off := int64(0); off < size; {
		p := buf[:min(int64(len(buf)), size-off)]
		if err := r.readBlocks(p, int(off/vstack.BlockSize)); err != nil {
			return err
		}
		off += int64(len(p))
		if use == nil {
			continue
		}
		if err := use(p); err != nil {
			return err
		}
	}
	return nil
}

// readFull reads exactly p.
func readFull(b *superblock, p []byte, off int64) error {
	n, err := b.f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// markBad keeps a chunk from being served or voted for again, until it is stored anew.
func (s *Store) markBad(r *chunkReader, err error) {
	s.metrics.crcFailed.Inc()
	s.ix.Lock()
	first := s.ix.MarkBad(r.id, r.entry)
	s.ix.Unlock()
	if first {
		s.found(Finding{Kind: FindChunk, File: r.b.path, Offset: r.entry.Offset(), Length: format.RecordLen(r.entry.Size()), Chunk: r.id, Err: err})
	}
}
