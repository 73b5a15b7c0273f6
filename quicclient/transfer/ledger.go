package transfer

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// ledger knows which bytes of a chunk came from whom and which of its leaves are proven.
// Its lock is never held while a leaf is hashed.
type ledger struct {
	ref  vstack.ChunkRef
	buf  []byte
	root vstack.LeafRoot // zero: no leaves, the chunk is proven as a whole

	mu      sync.Mutex
	table   vstack.LeafTable // proven; nil until it comes
	missing []int64          // bytes, by leaf
	left    int64            // bytes, in all
	proven  []bool           // by leaf
	head    int              // leaves proven from the first one on
	count   int              // leaves proven
	came    []origin
	suspect map[int]suspicion // leaves that did not match, by whom they came
}

// origin is a run of bytes and who brought it.
type origin struct {
	lo, hi int64
	by     *attempt
}

// suspicion is a leaf that several stores brought and that was wrong.
type suspicion struct {
	bytes []byte
	came  []origin
}

func newLedger(ref vstack.ChunkRef, buf []byte) *ledger {
	l := &ledger{ref: ref, buf: buf, root: ref.Leaves, left: int64(ref.Size), suspect: map[int]suspicion{}}
	n := vstack.Leaves(ref.Size)
	l.missing, l.proven = make([]int64, n), make([]bool, n)
	for i := range l.missing {
		lo, hi := l.bounds(i)
		l.missing[i] = hi - lo
	}
	return l
}

// bounds are the bytes of a leaf.
func (l *ledger) bounds(leaf int) (lo, hi int64) {
	lo = int64(leaf) * vstack.LeafSize
	return lo, min(lo+vstack.LeafSize, int64(l.ref.Size))
}

// add notes bytes that came and returns the leaves that can be checked now, and whether
// all bytes are here and no table is.
func (l *ledger) add(lo, hi int64, by *attempt) (check []int, whole bool) {
	if lo >= hi {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.came); n > 0 && l.came[n-1].by == by && l.came[n-1].hi == lo {
		l.came[n-1].hi = hi
	} else {
		l.came = append(l.came, origin{lo, hi, by})
	}
	l.left -= hi - lo
	for leaf := int(lo / vstack.LeafSize); leaf < len(l.missing); leaf++ {
		from, to := l.bounds(leaf)
		if from >= hi {
			break
		}
		if l.missing[leaf] -= min(to, hi) - max(from, lo); l.missing[leaf] == 0 && l.table != nil {
			check = append(check, leaf)
		}
	}
	return check, l.left == 0 && l.table == nil
}

// learn takes a table that a store sent and returns the leaves that can be checked now. A
// table that the manifest does not stand for proves nothing, against nobody.
func (l *ledger) learn(table vstack.LeafTable) (check []int, err error) {
	if err := table.Check(l.ref.Size, l.root); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table != nil {
		return nil, nil
	}
	l.table = table
	for leaf, missing := range l.missing {
		if missing == 0 && !l.proven[leaf] {
			check = append(check, leaf)
		}
	}
	return check, nil
}

// wantsTable reports whether a table would be of use.
func (l *ledger) wantsTable() bool {
	if l.root.IsZero() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table == nil
}

// verify hashes a complete leaf.
func (l *ledger) verify(leaf int) error {
	lo, hi := l.bounds(leaf)
	l.mu.Lock()
	table := l.table
	l.mu.Unlock()
	return table.Verify(l.ref.Size, uint32(lo), l.buf[lo:hi])
}

// prove notes that a leaf is right. It returns how many bytes from the chunk's start are
// proven now, and whether that is all. liars are those whose bytes of it were others
// before.
func (l *ledger) prove(leaf int) (head int64, all bool, liars []*attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.proven[leaf] {
		l.proven[leaf] = true
		l.count++
	}
	for l.head < len(l.proven) && l.proven[l.head] {
		l.head++
	}
	if was, ok := l.suspect[leaf]; ok {
		delete(l.suspect, leaf)
		from, _ := l.bounds(leaf)
		for _, o := range was.came {
			if !slices.Equal(was.bytes[o.lo-from:o.hi-from], l.buf[o.lo:o.hi]) {
				liars = append(liars, o.by)
			}
		}
	}
	return min(int64(l.head)*vstack.LeafSize, int64(l.ref.Size)), l.count == len(l.proven), liars
}

// dispute takes a leaf back that did not match. The one who brought all of it lied; where
// several brought parts, what came is kept until the right bytes tell who did.
func (l *ledger) dispute(leaf int) (lo, hi int64, liar *attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lo, hi = l.bounds(leaf)
	var in []origin
	var rest []origin
	for _, o := range l.came {
		if o.hi <= lo || o.lo >= hi {
			rest = append(rest, o)
			continue
		}
		in = append(in, origin{max(o.lo, lo), min(o.hi, hi), o.by})
		for _, part := range []origin{{o.lo, lo, o.by}, {hi, o.hi, o.by}} {
			if part.lo < part.hi {
				rest = append(rest, part)
			}
		}
	}
	l.came = rest
	l.missing[leaf] = hi - lo
	l.left += hi - lo
	if !slices.ContainsFunc(in, func(o origin) bool { return o.by.peer != in[0].by.peer }) {
		return lo, hi, in[0].by
	}
	if _, again := l.suspect[leaf]; !again {
		l.suspect[leaf] = suspicion{slices.Clone(l.buf[lo:hi]), in}
	}
	return lo, hi, nil
}

// whole hashes the chunk; all its bytes are here. sole is the store that brought all of
// them, if one did.
func (l *ledger) whole() (sole *attempt, err error) {
	if sum := sha256.Sum256(l.buf); vstack.ChunkID(sum) != l.ref.ID {
		err = fmt.Errorf("%w: got %s", vstack.ErrHashMismatch, vstack.ChunkID(sum).Short())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.came {
		if o.by.peer != l.came[0].by.peer {
			return nil, err
		}
	}
	return l.came[0].by, err
}

// forget takes back bytes that came from lo to hi, the borders of leaves.
func (l *ledger) forget(lo, hi int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came = slices.DeleteFunc(l.came, func(o origin) bool { return o.lo >= lo && o.hi <= hi })
	for leaf := range l.missing {
		from, to := l.bounds(leaf)
		if from >= lo && to <= hi {
			l.left += to - from - l.missing[leaf]
			l.missing[leaf] = to - from
		}
	}
}

// reset forgets every byte.
func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came, l.left = nil, int64(l.ref.Size)
	for i := range l.missing {
		lo, hi := l.bounds(i)
		l.missing[i] = hi - lo
	}
}

// origins are who brought the bytes.
func (l *ledger) origins() []origin {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.came)
}
