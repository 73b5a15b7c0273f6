package serve

import (
	"fmt"
	"testing"

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
