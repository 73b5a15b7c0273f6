package serve

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/vstack"
)

func TestReturnedMemoryIsKeptWithinHalfTheBudget(t *testing.T) {
	b := NewBuffers(4 * vstack.MaxChunkSize)
	var held []*Buffer
	for i := range 4 {
		buf, err := b.Get(t.Context(), admission.Key(fmt.Sprint(i)), vstack.MaxChunkSize)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, buf)
	}
	first := &held[0].Bytes[0]
	for _, buf := range held {
		buf.Release()
		buf.Release() // once is enough
	}
	if b.spare != 2*vstack.MaxChunkSize {
		t.Errorf("%d bytes kept, want half of the budget", b.spare)
	}
	kept := 0
	for i := range 4 {
		buf, err := b.Get(t.Context(), admission.Key(fmt.Sprint(i)), vstack.MaxChunkSize)
		if err != nil {
			t.Fatal(err)
		}
		if &buf.Bytes[0] == first {
			kept++
		}
	}
	if kept != 1 || b.spare != 0 {
		t.Errorf("the first buffer came back %d times, %d bytes still idle", kept, b.spare)
	}
}

func TestABufferIsAtMostAQuarterTooLarge(t *testing.T) {
	for n := 1; n <= vstack.MaxChunkSize; n += 1 + n/97 {
		size := sizeOf(classOf(n))
		if size < int64(n) || n > 64<<10 && 4*size > 5*int64(n)+4 {
			t.Fatalf("%d bytes get %d", n, size)
		}
	}
	if c := classOf(vstack.MaxChunkSize); c != classes-1 || classOf(vstack.MaxChunkSize+1) >= 0 {
		t.Errorf("the largest chunk is of class %d of %d", c, classes)
	}
}

// idleBytes is what is kept and lent to nobody.
func (b *Buffers) idleBytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spare
}

func TestMemoryGoesBackAfterAPeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBuffers(16 * vstack.MaxChunkSize)
		peak := func() {
			var held []*Buffer
			for range 8 {
				held = append(held, b.memory(vstack.MaxChunkSize))
			}
			for _, buf := range held {
				buf.Release()
			}
		}
		peak()
		time.Sleep(lookEvery - time.Second)
		peak() // it is asked for again
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := b.idleBytes(); n != 8*vstack.MaxChunkSize {
			t.Errorf("%d bytes are kept between two peaks", n)
		}
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		if n := b.idleBytes(); n != 2*vstack.MaxChunkSize {
			t.Errorf("%d bytes are kept half a minute after a peak, want an eighth of the budget", n)
		}
	})
}
