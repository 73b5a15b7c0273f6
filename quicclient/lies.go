package quicclient

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient/transfer"
)

const (
	// maxLies bounds the videos of which a client remembers how they lie.
	maxLies = 4096
	// lieAge is for how long it does: a film that is hot again is read by rows as well, of
	// fragments that three stores make for each read, and nothing says so.
	lieAge = 5 * time.Minute
)

// lies remembers which videos lie in fragments. It is a hint: whether a chunk is a copy is
// the stores' to say, and what they say corrects it.
type lies struct {
	mu sync.Mutex
	in map[vstack.VideoID]lie
}

type lie struct {
	scheme vstack.Scheme
	kept   vstack.Kept // what are copies all the same, where somebody told
	since  time.Time
}

// of is the scheme of the fragments in which a slot's chunk should lie; zero for copies.
func (l *lies) of(slot vstack.Slot, size uint32) vstack.Scheme {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.in[slot.Video]
	if ok && time.Since(known.since) > lieAge {
		delete(l.in, slot.Video)
		return vstack.Scheme{}
	}
	if known.kept.Has(slot.Track, slot.Seq, size) {
		return vstack.Scheme{}
	}
	return known.scheme
}

// set notes a scheme, or with the zero one that the video lies in copies. What is known to
// stay a copy of it stays known.
func (l *lies) set(id vstack.VideoID, s vstack.Scheme) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(id, lie{scheme: s, kept: l.in[id].kept})
}

func (l *lies) put(id vstack.VideoID, as lie) {
	if as.scheme.IsZero() {
		delete(l.in, id)
		return
	}
	if l.in == nil || len(l.in) >= maxLies {
		l.in = map[vstack.VideoID]lie{}
	}
	as.since = time.Now()
	l.in[id] = as
}

// Hint tells how a video lies, as the catalog says. Without it the first read of a chunk that
// lies otherwise costs a round trip, and of chunks that stay copies in every class nobody knows
// that they do. A hint that is wrong costs what none costs.
func (c *Client) Hint(v vstack.Video, m *vstack.Manifest) {
	as := lie{scheme: v.Layout.Scheme, kept: v.Layout.Kept(m)}
	if !v.Class.Fragments() {
		as = lie{}
	}
	c.lies.mu.Lock()
	defer c.lies.mu.Unlock()
	c.lies.put(v.ID, as)
}

// heldInstead is the scheme of a fragment that a store named in place of the copy that it was
// asked for.
func heldInstead(err error) (vstack.Scheme, bool) {
	var failed *FetchError
	if !errors.As(err, &failed) {
		return vstack.Scheme{}, false
	}
	for _, s := range failed.Stores {
		var held *transfer.HeldError
		if errors.As(s.Err, &held) {
			return held.Held[0].Scheme, true
		}
	}
	return vstack.Scheme{}, false
}

// fragmentHolders are the targets of a group that have a fragment of a scheme, and which.
func fragmentHolders(g vstack.PGTargets, s vstack.Scheme) (ids []vstack.StoreID, numbers []uint8) {
	for i, id := range g.Targets {
		if n := g.Fragment(i); int(n) < s.Total() {
			ids, numbers = append(ids, id), append(numbers, uint8(n))
		}
	}
	return ids, numbers
}

// rowsOf lays out a chunk of which target i has the fragment numbers[i].
func rowsOf(ref vstack.ChunkRef, s vstack.Scheme, numbers []uint8) (*transfer.Rows, error) {
	codec, err := erasure.New(s)
	if err != nil {
		return nil, err
	}
	rows := &transfer.Rows{
		Need: int(s.K),
		Path: func(target int) string {
			return wire.FragmentPath(ref.ID, vstack.Piece{Scheme: s, I: numbers[target]})
		},
		Join: func(row int, shares map[int][]byte, dst []byte) error {
			parts := make([][]byte, s.Total())
			for target, b := range shares {
				parts[numbers[target]] = b
			}
			out, err := codec.DecodeRow(ref.Size, row, parts)
			if err == nil && len(out) != len(dst) {
				err = fmt.Errorf("%w: row %d has %d bytes, want %d", vstack.ErrInternal, row, len(out), len(dst))
			}
			copy(dst, out)
			return err
		},
	}
	for i := range s.Rows(ref.Size) {
		row := s.Row(ref.Size, i)
		rows.List = append(rows.List, transfer.Row{Size: int64(row.Len), Share: int64(row.Width)})
	}
	return rows, nil
}
