package serve

import (
	"context"
	"fmt"
	"math/bits"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/vstack/vstack/internal/vstack"
)

// Buffer sizes are powers of two from one block to the largest chunk.
const (
	minBufferBits = 16
	maxBufferBits = 23
)

// Buffers lends memory for chunk bodies within a budget of bytes. Waiters are served
// in the order in which they came, so a large request is not starved by small ones.
type Buffers struct {
	budget *semaphore.Weighted
	total  int64
	pools  [maxBufferBits - minBufferBits + 1]sync.Pool
}

// NewBuffers makes a budget of total bytes, at least one largest chunk.
func NewBuffers(total int64) *Buffers {
	total = max(total, vstack.MaxChunkSize)
	return &Buffers{budget: semaphore.NewWeighted(total), total: total}
}

// Buffer is borrowed memory; Release gives it back, once.
type Buffer struct {
	Bytes []byte
	class int
	from  *Buffers
	block *[]byte
}

// Get lends n bytes, 0 ≤ n ≤ MaxChunkSize, with arbitrary content. It waits for the
// budget until ctx ends, then it is ErrUnavailable.
func (b *Buffers) Get(ctx context.Context, n int) (*Buffer, error) {
	class := classOf(n)
	if class < 0 {
		return nil, fmt.Errorf("buffer of %d bytes: %w", n, vstack.ErrTooLarge)
	}
	if err := b.budget.Acquire(ctx, sizeOf(class)); err != nil {
		return nil, fmt.Errorf("wait for %d bytes of a budget of %d: %w", n, b.total, vstack.ErrUnavailable)
	}
	block, _ := b.pools[class].Get().(*[]byte)
	if block == nil {
		fresh := make([]byte, sizeOf(class))
		block = &fresh
	}
	return &Buffer{Bytes: (*block)[:n], class: class, from: b, block: block}, nil
}

// Release returns the memory. Nothing may hold Bytes any more.
func (b *Buffer) Release() {
	if b.from == nil {
		return
	}
	from := b.from
	b.from, b.Bytes = nil, nil
	from.pools[b.class].Put(b.block)
	from.budget.Release(sizeOf(b.class))
}

func classOf(n int) int {
	if n < 0 || n > 1<<maxBufferBits {
		return -1
	}
	return max(0, bits.Len(uint(max(n, 1)-1))-minBufferBits)
}

func sizeOf(class int) int64 { return 1 << (class + minBufferBits) }
