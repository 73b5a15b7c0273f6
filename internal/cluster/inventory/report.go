package inventory

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// best is the scheme of which most fragments are there, and how many.
func (h *held) best() (best vstack.Scheme, n int) {
	for s, set := range h.pieces {
		if got := bits.OnesCount32(set); got > n || got == n && (s.K < best.K || s.K == best.K && s.M < best.M) {
			best, n = s, got
		}
	}
	return best, n
}

// whole reports whether there is all that there should be: a video on its way between two
// classes has both, or the one or the other.
func (h *held) whole() bool {
	s, n := h.best()
	return h.copies >= vstack.Acceptors || n > 0 && n == s.Total()
}

// lost reports whether the chunk can be had of nothing.
func (h *held) lost() bool {
	if h.copies > 0 {
		return false
	}
	for s, set := range h.pieces {
		if bits.OnesCount32(set) >= int(s.K) {
			return false
		}
	}
	return true
}

func (r *Report) tally(n *named) {
	r.Chunks = len(n.chunks)
	for i := range n.chunks {
		h := &n.chunks[i]
		s, fragments := h.best()
		count := max(h.copies, fragments)
		for len(r.ByCopies) <= max(count, vstack.Acceptors) {
			r.ByCopies = append(r.ByCopies, 0)
		}
		r.ByCopies[count]++
		if h.whole() {
			continue
		}
		r.Few++
		if h.lost() {
			r.Lost++
		}
		if len(r.Missing) < maxListed {
			r.Missing = append(r.Missing, MissingChunk{Slot: h.slot, Chunk: h.id, Copies: h.copies, Fragments: fragments, Scheme: s, Lost: h.lost()})
		}
	}
	for _, f := range n.films {
		of := Film{Video: f.video.ID, Title: f.video.Title, Chunks: len(f.chunks)}
		for _, at := range f.chunks {
			if !n.chunks[at].whole() {
				of.Few++
			}
			if n.chunks[at].lost() {
				of.Lost++
			}
		}
		if of.Few > 0 {
			r.Films = append(r.Films, of)
		}
	}
	slices.SortFunc(r.Films, func(a, b Film) int {
		return cmp.Or(cmp.Compare(b.Lost, a.Lost), cmp.Compare(b.Few, a.Few), slices.Compare(a.Video[:], b.Video[:]))
	})
}
