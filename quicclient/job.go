package quicclient

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/stores"
)

// job is one chunk being read, once through its holders. The scheduler's lock guards
// it until done is closed.
type job struct {
	slot     vstack.Slot
	ref      vstack.ChunkRef
	deadline time.Duration // on the client's clock
	targets  []stores.Target

	pieces []*piece
	errs   []StoreError
	hedges int

	done chan struct{} // closed when data and err are final
	data []byte
	err  error
}

func (j *job) over() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

func (j *job) complete() bool {
	for _, p := range j.pieces {
		if p.won == nil {
			return false
		}
	}
	return true
}

// assemble puts the pieces together. One that is the whole chunk was verified by its
// attempt and is used as it is; several are copied and verified here.
func (j *job) assemble(pool *bufferPool) error {
	if len(j.pieces) == 1 {
		j.data = j.pieces[0].won.buf
		return nil
	}
	data := pool.get(int(j.ref.Size))
	for _, p := range j.pieces {
		copy(data[p.rng.Offset:], p.won.buf)
		pool.put(p.won.buf)
		p.won.buf = nil
	}
	if sum := vstack.ChunkIDOf(data); sum != j.ref.ID {
		pool.put(data)
		return fmt.Errorf("%w: got %s", vstack.ErrHashMismatch, sum.Short())
	}
	j.data = data
	return nil
}

// failure is the error of a job whose holders have all failed.
func (j *job) failure() error {
	return &FetchError{Slot: j.slot, Chunk: j.ref.ID, Stores: j.errs}
}

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

// FetchError says that no holder delivered a chunk, and why each did not. It is
// ErrNotFound if all that answered said so, else ErrUnavailable.
type FetchError struct {
	Slot   vstack.Slot
	Chunk  vstack.ChunkID
	Stores []StoreError
}

func (e *FetchError) Error() string {
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

func (e *FetchError) sentinel() *vstack.Sentinel {
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
func (e *FetchError) Unwrap() []error {
	out := []error{e.sentinel()}
	for _, s := range e.Stores {
		out = append(out, s)
	}
	return out
}
