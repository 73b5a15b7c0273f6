package serve

import (
	"context"
	"fmt"
	"math/bits"
	"sync"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/vstack"
)

// Buffer sizes are powers of two from one block to the largest chunk.
const (
	minBufferBits = 16
	maxBufferBits = 23
)

// Buffers lends memory for chunk bodies within a budget of bytes, which is shared among those
// who ask (package admission).
//
// Returned memory is kept, up to half the budget, and never left to the collector: a
// fresh 2 MiB costs 512 page faults, which a burst of readers would wait for.
type Buffers struct {
	budget *admission.Budget
	total  int64

	mu    sync.Mutex // guards the fields below
	idle  [maxBufferBits - minBufferBits + 1][][]byte
	spare int64 // bytes in idle
}

// NewBuffers makes a budget of total bytes, at least one largest chunk.
func NewBuffers(total int64) *Buffers {
	total = max(total, vstack.MaxChunkSize)
	return &Buffers{budget: admission.NewBudget("bytes of memory for chunks", total), total: total}
}

// Loan is a part of the budget that somebody has; Release gives it back, once.
type Loan struct {
	from *Buffers
	key  admission.Key
	size int64
}

// Borrow takes the part of the budget that n bytes need, 0 ≤ n ≤ MaxChunkSize, for a key. It
// waits until ctx ends, then it is ErrUnavailable.
func (b *Buffers) Borrow(ctx context.Context, key admission.Key, n int) (*Loan, error) {
	class := classOf(n)
	if class < 0 {
		return nil, fmt.Errorf("buffer of %d bytes: %w", n, vstack.ErrTooLarge)
	}
	if err := b.budget.Acquire(ctx, key, sizeOf(class)); err != nil {
		return nil, err
	}
	return &Loan{b, key, sizeOf(class)}, nil
}

// Watch ends what stands still with the loan while others wait: see admission.Watch.
func (l *Loan) Watch(end func()) *admission.Watch { return l.from.budget.Watch(l.key, end) }

// Release gives the loan back.
func (l *Loan) Release() {
	if l.from != nil {
		l.from.budget.Release(l.key, l.size)
		l.from = nil
	}
}

// Buffer is borrowed memory; Release gives it back, once.
type Buffer struct {
	Bytes []byte
	*Loan // nil for memory that others have borrowed for
	class int
	from  *Buffers
}

// Get lends n bytes with arbitrary content, as Borrow does.
func (b *Buffers) Get(ctx context.Context, key admission.Key, n int) (*Buffer, error) {
	l, err := b.Borrow(ctx, key, n)
	if err != nil {
		return nil, err
	}
	buf := b.memory(n)
	buf.Loan = l
	return buf, nil
}

// memory is that of n bytes which somebody has borrowed.
func (b *Buffers) memory(n int) *Buffer {
	class := classOf(n)
	block := b.take(class)
	if block == nil {
		block = make([]byte, sizeOf(class))
	}
	return &Buffer{Bytes: block[:n], class: class, from: b}
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
	if b.Loan != nil {
		b.Loan.Release()
	}
}

func classOf(n int) int {
	if n < 0 || n > 1<<maxBufferBits {
		return -1
	}
	return max(0, bits.Len(uint(max(n, 1)-1))-minBufferBits)
}

func sizeOf(class int) int64 { return 1 << (class + minBufferBits) }
