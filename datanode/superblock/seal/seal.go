package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// nonce of a block: no two blocks of a stretch have one.
type nonce [12]byte

func (n *nonce) of(number uint64, block int) []byte {
	binary.LittleEndian.PutUint64(n[:], number)
	binary.LittleEndian.PutUint32(n[8:], uint32(block))
	return n[:]
}

// bound is what a tag binds a block to, besides its nonce.
func bound(v vstack.Value, p vstack.Piece, leaves bool) (b [40]byte) {
	copy(b[:], v.Chunk[:])
	binary.LittleEndian.PutUint32(b[32:], v.Size)
	b[36], b[37], b[38] = p.K, p.M, p.I
	if leaves {
		b[39] = 1
	}
	return b
}

// Sealed is a record's data as it is written. Release gives its memory back.
type Sealed struct {
	format.Sealing
	Data, Leaves []byte
	CRCs         []uint32 // of the ciphertext, by block, the leaf table's last
}

// buffers are those of released data: room for a chunk of the usual size.
var buffers = sync.Pool{New: func() any { return new([pooled]byte) }}

const pooled = vstack.ChunkSize + format.TagLen

// buffer has room for n bytes and a tag, and is at most twice as large.
func buffer(n int) []byte {
	if n <= vstack.ChunkSize/2 || n > vstack.ChunkSize {
		return make([]byte, n+format.TagLen)
	}
	return buffers.Get().(*[pooled]byte)[:]
}

// Release gives the memory back; nothing reads it any more.
func (s *Sealed) Release() {
	if cap(s.Data) == pooled {
		buffers.Put((*[pooled]byte)(s.Data[:pooled]))
	}
	s.Data, s.Leaves = nil, nil
}

// Seal encrypts a record's data and its leaf table, if it has one, into memory of its own.
// There must have been a Begin.
func (b *Box) Seal(v vstack.Value, p vstack.Piece, data, leaves []byte) *Sealed {
	st := b.now.Load()
	n := (len(data) + vstack.BlockSize - 1) / vstack.BlockSize
	out := &Sealed{Sealing: format.Sealing{Stretch: st.begins, Number: st.sealed.Add(1)}}
	blocks := n + min(1, len(leaves))
	out.Tags, out.CRCs = make([]format.Tag, blocks), make([]uint32, blocks)
	with := bound(v, p, len(leaves) > 0)
	buf := buffer(len(data))
	out.Data = buf[:len(data)]
	half := n
	var other sync.WaitGroup
	if n >= shared { // the caller waits for a disk next: what is left to do before is done by two
		half = n / 2
		other.Go(func() { out.blocks(st.aead, buf, data, with[:], half, n) })
	}
	out.blocks(st.aead, buf, data, with[:], 0, half)
	if len(leaves) > 0 {
		buf := make([]byte, len(leaves)+format.TagLen)
		out.block(st.aead, new(nonce), buf, n, leaves, with[:])
		out.Leaves = buf[:len(leaves)]
	}
	other.Wait()
	return out
}

// shared is from how many blocks on two goroutines seal a record.
const shared = 8

// blocks seals those from one number up to another. What the last one's tag would land on
// belongs to whoever seals the next, so that one goes by way of a buffer.
func (s *Sealed) blocks(aead cipher.AEAD, buf, data, with []byte, from, to int) {
	var n nonce
	for i := from; i < to; i++ {
		at := i * vstack.BlockSize
		end := min(len(data), at+vstack.BlockSize)
		if i < to-1 || end == len(data) {
			s.block(aead, &n, buf[at:], i, data[at:end], with)
			continue
		}
		aside := scratch.Get().(*[vstack.BlockSize + format.TagLen]byte)
		s.block(aead, &n, aside[:], i, data[at:end], with)
		copy(buf[at:end], aside[:])
		scratch.Put(aside)
	}
}

// block seals one into the beginning of dst. The tag, which lands behind the block, is taken
// from there before the next block overwrites it.
func (s *Sealed) block(aead cipher.AEAD, n *nonce, dst []byte, i int, plain, with []byte) {
	sealed := aead.Seal(dst[:0], n.of(s.Number, i), plain, with)
	s.Tags[i] = format.Tag(sealed[len(plain):])
	s.CRCs[i] = format.CRC(sealed[:len(plain)])
}

// Opener opens the blocks of one record. It is for one goroutine.
type Opener struct {
	aead    cipher.AEAD
	sealing *format.Sealing
	with    [40]byte
	nonce   nonce
}

// Opener takes what a record's header says.
func (b *Box) Opener(h *format.Header, s *format.Sealing) (*Opener, error) {
	if h.KeyGeneration != b.key.Generation {
		return nil, fmt.Errorf("a record of key generation %d, the store's key is of %d: %w", h.KeyGeneration, b.key.Generation, vstack.ErrKeyMissing)
	}
	aead, err := b.cipher(s.Stretch)
	if err != nil {
		return nil, err
	}
	return &Opener{aead: aead, sealing: s, with: bound(h.Value, h.Piece, h.LeavesLen > 0)}, nil
}

// scratch has room for a block and its tag, one behind the other.
var scratch = sync.Pool{New: func() any { return new([vstack.BlockSize + format.TagLen]byte) }}

// Open decrypts whole blocks in place, of which the first is number first of the record. An
// error is format.ErrMalformed and leaves p without meaning.
func (o *Opener) Open(p []byte, first int) error {
	for i := first; len(p) > 0; i++ {
		n := min(len(p), vstack.BlockSize)
		if err := o.block(p, n, i); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// block opens the first n bytes of p in place. Its tag goes behind it for a moment, where
// the next block begins.
func (o *Opener) block(p []byte, n, i int) error {
	if len(p) < n+format.TagLen {
		return o.aside(p[:n], i)
	}
	behind := p[n : n+format.TagLen]
	next := format.Tag(behind)
	copy(behind, o.sealing.Tags[i][:])
	err := o.open(p[:0], p[:n+format.TagLen], i)
	copy(behind, next[:])
	return err
}

// Leaves opens the leaf table in place, the record's last block.
func (o *Opener) Leaves(p []byte) error { return o.aside(p, len(o.sealing.Tags)-1) }

// aside opens a block behind which nothing may be written.
func (o *Opener) aside(p []byte, i int) error {
	buf := scratch.Get().(*[vstack.BlockSize + format.TagLen]byte)
	defer scratch.Put(buf)
	copy(buf[:], p)
	copy(buf[len(p):], o.sealing.Tags[i][:])
	return o.open(p[:0], buf[:len(p)+format.TagLen], i)
}

func (o *Opener) open(dst, sealed []byte, i int) error {
	if _, err := o.aead.Open(dst, o.nonce.of(o.sealing.Number, i), sealed, o.with[:]); err != nil {
		return fmt.Errorf("%w: tag of block %d", format.ErrMalformed, i)
	}
	return nil
}
