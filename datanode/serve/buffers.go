package serve

import (
	"context"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/vstack"
)

// Buffer sizes are from one block to the largest chunk, four to each doubling: a fifth of the
// memory is given away at most.
const (
	minBufferBits = 16
	maxBufferBits = 23
	classes       = 4*(maxBufferBits-minBufferBits) + 1
)

const (
	// lookEvery is how often memory is given up that nobody asked for meanwhile, and floor
	// the part of the budget that is kept all the same, for the first of the next readers.
	lookEvery = 15 * time.Second
	floor     = 8
)

// Buffers lends memory for chunk bodies within a budget of bytes, which is shared among those
// who ask (package admission).
//
// Returned memory is kept, up to half the budget, as long as it is asked for again: a fresh
// 2 MiB costs 512 page faults, which a burst of readers would wait for. After a peak it goes
// back to the collector, all but an eighth of the budget.
type Buffers struct {
	budget *admission.Budget
	total  int64

	mu    sync.Mutex // guards the fields below
	idle  [classes][][]byte
	least [classes]int // of idle since the last look
	spare int64        // bytes in idle
	look  *time.Timer  // nil while there is nothing to give up
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
	b.least[class] = min(b.least[class], last)
	return block
}

func (b *Buffers) keep(class int, block []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spare+sizeOf(class) <= b.total/2 {
		b.idle[class] = append(b.idle[class], block)
		b.spare += sizeOf(class)
		if b.look == nil && b.spare > b.total/floor {
			b.look = time.AfterFunc(lookEvery, b.giveUp)
		}
	}
}

// giveUp leaves to the collector what was idle since the last look.
func (b *Buffers) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for class, stack := range b.idle {
		for n := b.least[class]; n > 0 && b.spare > b.total/floor; n-- {
			last := len(stack) - 1
			stack[last], stack = nil, stack[:last]
			b.spare -= sizeOf(class)
		}
		b.idle[class], b.least[class] = stack, len(stack)
	}
	if b.look = nil; b.spare > b.total/floor {
		b.look = time.AfterFunc(lookEvery, b.giveUp)
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

// Size is the memory that it takes, of which Bytes may be a part.
func (b *Buffer) Size() int64 { return sizeOf(b.class) }

func classOf(n int) int {
	if n < 0 || n > 1<<maxBufferBits {
		return -1
	}
	if n <= 1<<minBufferBits {
		return 0
	}
	e := bits.Len(uint(n-1)) - 1 // 2^e < n ≤ 2^(e+1)
	return 4*(e-minBufferBits) + (n-1-1<<e)>>(e-2) + 1
}

func sizeOf(class int) int64 {
	if class == 0 {
		return 1 << minBufferBits
	}
	e, quarter := minBufferBits+(class-1)/4, (class-1)%4
	return 1<<e + int64(quarter+1)<<(e-2)
}
