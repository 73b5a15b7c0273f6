package transfer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vstack/vstack/internal/vstack"
)

// StoreError is why one store did not deliver.
type StoreError struct {
	Store vstack.StoreID
	Addr  string
	Proto string
	Err   error
}

func (e StoreError) Error() string {
	return fmt.Sprintf("store %s at %s over %s: %v", e.Store, e.Addr, e.Proto, e.Err)
}

func (e StoreError) Unwrap() error { return e.Err }

// HeldError is the refusal of a store that has fragments of the chunk in place of what it was
// asked for.
type HeldError struct {
	Held []vstack.Piece
	Err  error
}

func (e *HeldError) Error() string { return fmt.Sprintf("%v; it holds %v", e.Err, e.Held) }
func (e *HeldError) Unwrap() error { return e.Err }

// ReadError says that no holder delivered a chunk, and why each did not. It is
// ErrNotFound if all that answered said so, else ErrUnavailable.
type ReadError struct {
	Slot   vstack.Slot
	Chunk  vstack.ChunkID
	Stores []StoreError
}

func (e *ReadError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fetch chunk %s of slot %s: %v", e.Chunk.Short(), e.Slot, e.sentinel())
	if len(e.Stores) == 0 {
		b.WriteString(": no store of its placement group is known")
	}
	for i, s := range e.Stores {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(s.Error())
	}
	return b.String()
}

func (e *ReadError) sentinel() *vstack.Sentinel {
	for _, s := range e.Stores {
		if !errors.Is(s.Err, vstack.ErrNotFound) {
			return vstack.ErrUnavailable
		}
	}
	if len(e.Stores) == 0 {
		return vstack.ErrUnavailable
	}
	return vstack.ErrNotFound
}

// Unwrap gives the sentinel first, then every store's error.
func (e *ReadError) Unwrap() []error {
	all := []error{e.sentinel()}
	for _, s := range e.Stores {
		all = append(all, s)
	}
	return all
}
