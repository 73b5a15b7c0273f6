package rebuild

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// maxAsked bounds the requests of one gathering.
const maxAsked = 64

// gathering is one search for fragments of a chunk.
type gathering struct {
	r      *Rebuilder
	v      vstack.Value
	scheme vstack.Scheme
	have   [][]byte // by number
	count  int
	// next are those to ask, in order; others are stores of which nobody knows what they hold.
	next   []candidate
	others []vstack.Store
	asked  int
	errs   []error
}

// candidate is a store and the number of the fragment to ask it for.
type candidate struct {
	store  vstack.Store
	number uint8
}

// reply is what came of a request.
type reply struct {
	from candidate
	Answer
	err error
}

// newGathering begins with what is here; without leaves one number of it out.
func (r *Rebuilder) newGathering(ctx context.Context, v vstack.Value, s vstack.Scheme, home Home, without *vstack.Piece) *gathering {
	g := &gathering{r: r, v: v, scheme: s, have: make([][]byte, s.Total())}
	for _, info := range r.cfg.Disk.Pieces(v.Chunk) {
		if info.Bad || info.Size != v.Size || info.Piece.Scheme != s || without != nil && info.Piece == *without {
			continue
		}
		b := make([]byte, info.Piece.Size(info.Size))
		if _, err := r.cfg.Disk.ReadPieceAt(ctx, v.Chunk, info.Piece, b, 0); err != nil {
			g.errs = append(g.errs, err)
			continue
		}
		g.have[info.Piece.I] = b
		g.count++
	}
	for _, h := range home.Holders {
		if h.ID != r.cfg.Disk.ID() && int(h.Number) < s.Total() {
			g.next = append(g.next, candidate{h.Store, uint8(h.Number)})
		}
	}
	for _, s := range home.Others {
		if s.ID != r.cfg.Disk.ID() {
			g.others = append(g.others, s)
		}
	}
	// Load is spread; stores that are not heard come last.
	rand.Shuffle(len(g.next), func(i, j int) { g.next[i], g.next[j] = g.next[j], g.next[i] })
	slices.SortStableFunc(g.next, func(a, b candidate) int { return silent(a.store) - silent(b.store) })
	return g
}

func silent(s vstack.Store) int {
	switch s.State {
	case vstack.StoreUp:
		return 0
	case vstack.StoreSuspect:
		return 1
	}
	return 2
}

// until asks for fragments until there are want of them, or nobody is left to ask.
func (g *gathering) until(ctx context.Context, want int) {
	ctx, cancel := context.WithCancel(ctx)
	replies := make(chan reply, maxAsked) // so that no request waits for whoever reads them
	running := 0
	defer func() {
		cancel()
		for ; running > 0; running-- {
			if r := <-replies; r.err == nil {
				g.take(r)
			} else { // it was given no time, and may be wanted yet: what is here may be rotten
				g.next = append(g.next, r.from)
			}
		}
	}()
	hedge := time.NewTicker(g.r.cfg.HedgeAfter)
	defer hedge.Stop()
	ask := func() bool {
		c, ok := g.pop()
		if !ok {
			return false
		}
		running++
		g.asked++
		go func() {
			a, err := g.r.cfg.Ask(ctx, c.store, g.v, vstack.Piece{Scheme: g.scheme, I: c.number})
			replies <- reply{c, a, err}
		}()
		return true
	}
	for g.count < want && ctx.Err() == nil {
		for g.count+running < want && ask() {
		}
		if running == 0 {
			return
		}
		select {
		case r := <-replies:
			running--
			g.take(r)
		case <-hedge.C:
			ask()
		case <-ctx.Done():
			g.errs = append(g.errs, fmt.Errorf("%w: %w", vstack.ErrTimeout, context.Cause(ctx)))
		}
	}
}

// pop is the next to ask: a target for a number that is not there, then any store at all,
// whose refusal says what it holds.
func (g *gathering) pop() (candidate, bool) {
	if g.asked >= maxAsked {
		return candidate{}, false
	}
	for len(g.next) > 0 {
		c := g.next[0]
		g.next = g.next[1:]
		if g.have[c.number] == nil {
			return c, true
		}
	}
	missing := slices.IndexFunc(g.have, func(b []byte) bool { return b == nil })
	if len(g.others) == 0 || missing < 0 {
		return candidate{}, false
	}
	s := g.others[0]
	g.others = g.others[1:]
	return candidate{s, uint8(missing)}, true
}

// take keeps what a store sent, or asks it for what it holds instead.
func (g *gathering) take(r reply) {
	size := int(g.scheme.FragmentSize(g.v.Size))
	switch {
	case r.err == nil && len(r.Data) == size:
		if g.have[r.from.number] == nil {
			g.have[r.from.number] = r.Data
			g.count++
		}
		return
	case r.err == nil:
		r.err = fmt.Errorf("%d bytes, want %d: %w", len(r.Data), size, vstack.ErrHashMismatch)
	}
	g.errs = append(g.errs, fmt.Errorf("fragment %d of store %s: %w", r.from.number, r.from.store.ID, r.err))
	for _, p := range r.Held {
		if p.Scheme == g.scheme && p.Check() == nil && p.I != r.from.number && g.have[p.I] == nil {
			g.next = append(g.next, candidate{r.from.store, p.I})
		}
	}
}

// failed says why there are too few.
func (g *gathering) failed() error {
	err := fmt.Errorf("chunk %s: %w: %d fragments of %s found, %d stores asked", g.v.Chunk.Short(), vstack.ErrUnavailable, g.count, g.scheme, g.asked)
	return errors.Join(append([]error{err}, g.errs...)...)
}
