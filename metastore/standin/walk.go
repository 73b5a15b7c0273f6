package standin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// The file of bbolt is pages of one size, each with a header of 16 bytes: its number (8),
// what it is (2), how many elements (2) and how many pages more it covers (4). Pages 0 and 1
// are the meta pages, of which the one with the higher transaction and a right checksum
// counts. Numbers are in the byte order of the machine.
const (
	pageHeader  = 16
	elementSize = 16
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	isBranch    = 1
	isLeaf      = 2
	isMeta      = 4
	leafBucket  = 1 // of a leaf's element: its value is a bucket

	// maxPage bounds a page with all that it covers; an entry of the log is smaller.
	maxPage = 1 << 28
	// maxDepth bounds how deep pages lie: a tree of such a log has three or four levels.
	maxDepth = 64
)

var order = binary.NativeEndian

// walker looks at every page that is reachable.
type walker struct {
	f     io.ReaderAt
	size  int64
	page  int64 // bytes
	pages uint64
	seen  map[uint64]bool
}

// walk reads the tree that counts.
func walk(f io.ReaderAt, size int64) error {
	page, root, pages, err := newestMeta(f)
	if err != nil {
		return err
	}
	w := &walker{f: f, size: size, page: page, pages: pages, seen: map[uint64]bool{0: true, 1: true}}
	return w.tree(root, 0)
}

// newestMeta finds the meta page that counts.
func newestMeta(f io.ReaderAt) (page int64, root, pages uint64, err error) {
	var newest uint64
	found := false
	look := func(at int64) {
		b := make([]byte, pageHeader+metaSize)
		if _, err := f.ReadAt(b, at); err != nil {
			return
		}
		m := b[pageHeader:]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8]) // never fails
		if order.Uint16(b[8:])&isMeta == 0 || order.Uint32(m) != metaMagic || order.Uint64(m[56:]) != sum.Sum64() {
			return
		}
		size := int64(order.Uint32(m[8:]))
		if txid := order.Uint64(m[48:]); (!found || txid > newest) && size >= 512 && size <= 1<<20 {
			found, newest, page, root, pages = true, txid, size, order.Uint64(m[16:]), order.Uint64(m[40:])
		}
	}
	look(0)
	// Where the first is damaged, the size of pages is not known: they are powers of two.
	for at := int64(512); at <= 1<<16; at *= 2 {
		look(at)
	}
	if !found {
		return 0, 0, 0, fmt.Errorf("%w: neither meta page is right", vstack.ErrCorrupt)
	}
	return page, root, pages, nil
}

// tree looks at a page and at all below it.
func (w *walker) tree(id uint64, depth int) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: page %d: %s", vstack.ErrCorrupt, id, fmt.Sprintf(format, args...))
	}
	if id >= w.pages || int64(id) > w.size/w.page-1 {
		return bad("it is beyond the file")
	}
	if depth > maxDepth {
		return bad("it lies deeper than a tree is")
	}
	head := make([]byte, pageHeader)
	if _, err := w.f.ReadAt(head, int64(id)*w.page); err != nil {
		return bad("%v", err)
	}
	more := uint64(order.Uint32(head[12:]))
	length := int64(more+1) * w.page
	if order.Uint64(head) != id || length > maxPage || int64(id)*w.page+length > w.size {
		return bad("its header says page %d and %d more", order.Uint64(head), more)
	}
	for p := id; p <= id+more; p++ {
		if w.seen[p] {
			return bad("it is part of two others")
		}
		w.seen[p] = true
	}
	b := make([]byte, length)
	if _, err := w.f.ReadAt(b, int64(id)*w.page); err != nil {
		return bad("%v", err)
	}
	below, err := elements(b)
	if err != nil {
		return bad("%v", err)
	}
	for _, next := range below {
		if err := w.tree(next, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// elements checks a page by itself, and answers the pages that it names.
func elements(b []byte) (below []uint64, err error) {
	kind, n := order.Uint16(b[8:]), int(order.Uint16(b[10:]))
	if kind != isBranch && kind != isLeaf {
		return nil, fmt.Errorf("it is of kind %#x, want a branch or a leaf", kind)
	}
	if pageHeader+n*elementSize > len(b) || kind == isBranch && n == 0 {
		return nil, fmt.Errorf("it has %d elements", n)
	}
	var last []byte
	for i := range n {
		e := b[pageHeader+i*elementSize:]
		var pos, key, value uint32
		if kind == isBranch {
			pos, key = order.Uint32(e), order.Uint32(e[4:])
		} else {
			pos, key, value = order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		}
		from := uint64(pos)
		if end := from + uint64(key) + uint64(value); end > uint64(len(e)) {
			return nil, fmt.Errorf("element %d ends %d bytes behind its start, of %d", i, end, len(e))
		}
		k := e[from : from+uint64(key)]
		if i > 0 && bytes.Compare(last, k) >= 0 {
			return nil, fmt.Errorf("the keys of elements %d and %d are not in order", i-1, i)
		}
		last = k
		switch {
		case kind == isBranch:
			below = append(below, order.Uint64(e[8:]))
		case order.Uint32(e)&leafBucket != 0:
			v := e[from+uint64(key) : from+uint64(key)+uint64(value)]
			if len(v) < 16 {
				return nil, fmt.Errorf("bucket %.20q has %d bytes", k, len(v))
			}
			if root := order.Uint64(v); root != 0 {
				below = append(below, root)
			} else if inline, err := inlinePage(v[16:]); err != nil {
				return nil, fmt.Errorf("bucket %.20q: %w", k, err)
			} else {
				below = append(below, inline...)
			}
		}
	}
	return below, nil
}

// inlinePage checks a bucket that lies within its element.
func inlinePage(b []byte) ([]uint64, error) {
	if len(b) < pageHeader {
		return nil, fmt.Errorf("it has %d bytes", len(b))
	}
	return elements(slices.Clone(b))
}
