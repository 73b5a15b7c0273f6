package chunk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/datanode/superblock/seal"
	"github.com/vstack/vstack/internal/vstack"
)

// Step is how much is read and then checked at a time: it still lies in the processor's
// cache when its CRC is computed.
const Step = 4 * vstack.BlockSize

// edges are the buffers for blocks of which a caller wants a part, and for headers.
var edges = sync.Pool{New: func() any { return new([vstack.BlockSize]byte) }}

// Name says in errors which piece of which chunk.
func Name(id vstack.ChunkID, p vstack.Piece) string {
	if p.IsChunk() {
		return id.Short()
	}
	return id.Short() + " fragment " + p.String()
}

// Reader reads the record of one piece: a chunk or a fragment. It is for one goroutine.
type Reader struct {
	ID    vstack.ChunkID
	Entry index.Entry
	// File is where the record lies; Path, Version and Salt are the file's.
	File    io.ReaderAt
	Path    string
	Version format.Version
	Salt    uint64
	// Box opens sealed records; what needs no plain bytes needs none.
	Box *seal.Box

	table  *[vstack.BlockSize]byte // the encoded header, from the pool
	header format.Header           // with the table
	opener *seal.Opener            // of a sealed record, once it is needed
}

// Close gives the header's buffer back to the pool.
func (r *Reader) Close() {
	if r.table != nil {
		edges.Put(r.table)
		r.table, r.opener = nil, nil
	}
}

// corrupt wraps what was found wrong with the piece. An unreadable sector is as bad
// as a wrong one.
func (r *Reader) corrupt(what string, err error) error {
	return fmt.Errorf("chunk %s in %s at %d: %s: %w: %w", Name(r.ID, r.Entry.Piece()), r.Path, r.Entry.Offset(), what, vstack.ErrCorrupt, err)
}

// Load reads and checks the header with its block CRCs, once.
func (r *Reader) Load() (err error) {
	if r.table != nil {
		return nil
	}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	r.table = edges.Get().(*[vstack.BlockSize]byte)
	b := r.table[:r.Entry.Shape().HeaderLen()]
	if err := ReadFull(r.File, b, r.Entry.Offset()); err != nil {
		return r.corrupt("read header", err)
	}
	h := &r.header
	if err := h.Decode(b, r.Version, r.Salt); err != nil {
		return r.corrupt("header", err)
	}
	if h.Value.Chunk != r.ID || h.Piece != r.Entry.Piece() || h.Shape() != r.Entry.Shape() || h.LSN != r.Entry.LSN() {
		return r.corrupt("header", fmt.Errorf("%w: it is of chunk %s, %d bytes, LSN %d", format.ErrMalformed, Name(h.Value.Chunk, h.Piece), h.DataLen, h.LSN))
	}
	return nil
}

func (r *Reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	size := int64(r.Entry.DataLen())
	if off < 0 || off > size || (off == size && len(p) > 0) {
		return 0, fmt.Errorf("chunk %s of %d bytes: read at %d: %w", Name(r.ID, r.Entry.Piece()), size, off, vstack.ErrRangeInvalid)
	}
	var eof error
	if int64(len(p)) > size-off {
		p, eof = p[:size-off], io.EOF
	}
	if len(p) == 0 {
		return 0, eof
	}
	if err := r.Load(); err != nil {
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
func (r *Reader) step(p []byte, off, size int64) (int, error) {
	block := off / vstack.BlockSize
	start := block * vstack.BlockSize
	if whole := wholeBlocks(int64(len(p)), off, size); off == start && whole > 0 {
		n := min(whole, Step)
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

// readBlocks reads whole blocks from number first on and checks each; those of a sealed
// record are opened, which checks more than their CRC does.
func (r *Reader) readBlocks(p []byte, first int) error {
	if !r.Entry.Shape().Sealed() {
		return r.readStored(p, first)
	}
	o, err := r.open()
	if err != nil {
		return err
	}
	if err := r.fetch(p, first); err != nil {
		return err
	}
	if err := o.Open(p, first); err != nil {
		return r.corrupt("open", err)
	}
	return nil
}

// fetch reads whole blocks, unchecked.
func (r *Reader) fetch(p []byte, first int) error {
	data := r.Entry.Offset() + r.Entry.Shape().HeaderLen()
	if err := ReadFull(r.File, p, data+int64(first)*vstack.BlockSize); err != nil {
		return r.corrupt(fmt.Sprintf("read block %d", first), err)
	}
	return nil
}

// open makes the record's opener, once it is loaded.
func (r *Reader) open() (*seal.Opener, error) {
	if r.opener == nil {
		if r.Box == nil {
			return nil, fmt.Errorf("chunk %s in %s: it is encrypted: %w", Name(r.ID, r.Entry.Piece()), r.Path, vstack.ErrKeyMissing)
		}
		o, err := r.Box.Opener(&r.header, r.Entry.Shape().Sealing(r.table[:]))
		if err != nil {
			return nil, fmt.Errorf("chunk %s in %s: %w", Name(r.ID, r.Entry.Piece()), r.Path, err)
		}
		r.opener = o
	}
	return r.opener, nil
}

// readStored reads whole blocks as they are on disk, from number first on, and checks the CRC
// of each.
func (r *Reader) readStored(p []byte, first int) error {
	if err := r.fetch(p, first); err != nil {
		return err
	}
	shape := r.Entry.Shape()
	for i := first; len(p) > 0; i++ {
		n := min(len(p), vstack.BlockSize)
		if got, want := format.CRC(p[:n]), shape.BlockCRC(r.table[:], i); got != want {
			return r.corrupt(fmt.Sprintf("block %d", i), fmt.Errorf("%w: CRC %08x, want %08x", format.ErrMalformed, got, want))
		}
		p = p[n:]
	}
	return nil
}

// Verify checks the whole piece through buf, of whole blocks; use sees what is stored, which
// of a sealed record is ciphertext. It needs no key.
func (r *Reader) Verify(buf []byte, use func([]byte) error) error {
	return r.walk(buf, r.readStored, use)
}

func (r *Reader) walk(buf []byte, read func(p []byte, first int) error, use func([]byte) error) error {
	if err := r.Load(); err != nil {
		return err
	}
	size := int64(r.Entry.DataLen())
	for off := int64(0); off < size; {
		p := buf[:min(int64(len(buf)), size-off)]
		if err := read(p, int(off/vstack.BlockSize)); err != nil {
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

// ReadFull reads exactly p.
func ReadFull(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Leaves reads the record's leaf table.
func (r *Reader) Leaves() (vstack.LeafTable, error) {
	t, err := r.StoredLeaves()
	if err != nil || !r.Entry.Shape().Sealed() {
		return t, err
	}
	o, err := r.open()
	if err != nil {
		return nil, err
	}
	if err := o.Leaves(t); err != nil {
		return nil, r.corrupt("open leaf table", err)
	}
	return t, nil
}

// StoredLeaves is Leaves as it is on disk: of a sealed record it is ciphertext.
func (r *Reader) StoredLeaves() (vstack.LeafTable, error) {
	if err := r.Load(); err != nil {
		return nil, err
	}
	shape := r.Entry.Shape()
	t := make(vstack.LeafTable, shape.Leaves)
	if err := ReadFull(r.File, t, r.Entry.Offset()+shape.LeavesOff()); err != nil {
		return nil, r.corrupt("read leaf table", err)
	}
	if got, want := format.CRC(t), shape.BlockCRC(r.table[:], shape.Blocks()-1); got != want {
		return nil, r.corrupt("leaf table", fmt.Errorf("%w: CRC %08x, want %08x", format.ErrMalformed, got, want))
	}
	return t, nil
}

// Sealing is how the record, which is loaded, is sealed, and with which generation of the key.
func (r *Reader) Sealing() (*format.Sealing, uint32) {
	return r.Entry.Shape().Sealing(r.table[:]), r.header.KeyGeneration
}

// Plain is Verify with the plain bytes, checked by their tags where they are sealed.
func (r *Reader) Plain(buf []byte, use func([]byte) error) error {
	return r.walk(buf, r.readBlocks, use)
}

// Hash is Plain of a whole chunk, and makes the leaf table of what it reads; buf is of whole
// leaves.
func (r *Reader) Hash(buf []byte, use func([]byte) error) (vstack.LeafTable, error) {
	t := make(vstack.LeafTable, 0, vstack.Leaves(r.Entry.Size())*sha256.Size)
	err := r.Plain(buf, func(p []byte) error {
		t = append(t, vstack.LeavesOf(p)...)
		return use(p)
	})
	return t, err
}
