package shape

import "container/heap"

// ring is a first-in-first-out queue that grows and does not shrink.
type ring[T any] struct {
	buf  []T // of a length that is a power of two
	head int
	n    int
}

func (r *ring[T]) len() int { return r.n }

func (r *ring[T]) first() *T { return &r.buf[r.head] }

func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		grown := make([]T, max(16, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.head+i)&(len(r.buf)-1)]
		}
		r.buf, r.head = grown, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = v
	r.n++
}

func (r *ring[T]) pop() T {
	var zero T
	v := r.buf[r.head]
	r.buf[r.head] = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

// flight is packets on the wire: those that keep their order in a ring, those that are
// held back in a heap. Both give the earliest.
type flight[P any] struct {
	inOrder ring[Due[P]]
	held    late[P]
}

func (f *flight[P]) len() int { return f.inOrder.len() + len(f.held) }

// push takes packets; one that is due before the last in order belongs into the heap.
func (f *flight[P]) push(d Due[P], held bool) {
	if held {
		heap.Push(&f.held, d)
		return
	}
	f.inOrder.push(d)
}

func (f *flight[P]) first() *Due[P] {
	if f.inOrder.len() == 0 || len(f.held) > 0 && f.held[0].At < f.inOrder.first().At {
		return &f.held[0]
	}
	return f.inOrder.first()
}

func (f *flight[P]) pop() Due[P] {
	if f.inOrder.len() == 0 || len(f.held) > 0 && f.held[0].At < f.inOrder.first().At {
		return heap.Pop(&f.held).(Due[P])
	}
	return f.inOrder.pop()
}

// late is a heap by time.
type late[P any] []Due[P]

func (h late[P]) Len() int           { return len(h) }
func (h late[P]) Less(i, j int) bool { return h[i].At < h[j].At }
func (h late[P]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *late[P]) Push(v any)        { *h = append(*h, v.(Due[P])) }

func (h *late[P]) Pop() any {
	old := *h
	v := old[len(old)-1]
	old[len(old)-1] = Due[P]{}
	*h = old[:len(old)-1]
	return v
}
