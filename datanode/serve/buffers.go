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
//
// Returned memory is kept, up to half the budget, and never left to the collector: a
// fresh 2 MiB costs 512 page faults, which a burst of readers would wait for.
type Buffers struct {
	budget *semaphore.Weighted
	total  int64

	mu    sync.Mutex // guards the fields below
	idle  [maxBufferBits - minBufferBits + 1][][]byte
	spare int64 // bytes in idle
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
	block := b.take(class)
	if block == nil {
		block = make([]byte, sizeOf(class))
	}
	return &Buffer{Bytes: block[:n], class: class, from: b}, nil
}

func (b *Buffers) take(class int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	stack := b.idle[class]
	if len(stack) == 0 {
		return nil
	}
	last := len(stack) - 1
	block := stack[last]
	stack[last], b.idle[class] = nil, stack[:last]
	b.spare -= sizeOf(class)
	return block
}

func (b *Buffers) keep(class int, block []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spare+sizeOf(class) <= b.total/2 {
		b.idle[class] = append(b.idle[class], block)
		b.spare += sizeOf(class)
	}
}

// Release returns the memory. Nothing may hold Bytes any more.
func (b *Buffer) Release() {
	if b.from == nil {
		return
	}
	from, block := b.from, b.Bytes[:sizeOf(b.class)]
	b.from, b.Bytes = nil, nil
	from.keep(b.class, block)
	from.budget.Release(sizeOf(b.class))
}

func classOf(n int) int {
	if n < 0 || n > 1<<maxBufferBits {
		return -1
	}
	return max(0, bits.Len(uint(max(n, 1)-1))-minBufferBits)
}

func sizeOf(class int) int64 { return 1 << (class + minBufferBits) }
