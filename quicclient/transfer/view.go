package transfer

import (
	"cmp"
	"slices"
	"time"

	"github.com/vstack/vstack/quicclient/policy"
	"github.com/vstack/vstack/quicclient/stores"
)

// sight is what the last View was made of; its slices are used again.
type sight struct {
	view   policy.View
	peers  []*stores.Peer       // by index of View.Stores
	index  map[*stores.Peer]int // the inverse
	pieces map[uint64]*piece
	ints   []int // of all Holders
	runs   []policy.Attempt
	order  []running
}

// running finds an attempt in the View, to say what comes before it.
type running struct {
	piece, at int
}

// look shows everything unfinished; the lock is held.
func (e *Engine) look() policy.View {
	s := &e.sight
	now := e.cfg.Pool.Now()
	if s.index == nil {
		s.index, s.pieces = map[*stores.Peer]int{}, map[uint64]*piece{}
	}
	clear(s.index)
	clear(s.pieces)
	s.peers, s.ints, s.runs, s.order = s.peers[:0], s.ints[:0], s.runs[:0], s.order[:0]
	v := policy.View{Now: now, Spent: e.Spent(), Stores: s.view.Stores[:0], Pieces: s.view.Pieces[:0]}
	for _, c := range e.chunks {
		for _, t := range c.req.Targets {
			if _, known := s.index[t.Peer]; !known {
				s.index[t.Peer] = len(s.peers)
				s.peers = append(s.peers, t.Peer)
				v.Stores = append(v.Stores, t.Peer.Signals(now, t.Store))
			}
		}
	}
	for _, c := range e.chunks {
		due := c.arrived
		if c.req.Due != nil {
			due = max(due, c.req.Due())
		}
		for _, p := range c.pieces {
			s.pieces[p.id] = p
			v.Pieces = append(v.Pieces, s.show(p, due))
		}
	}
	slices.SortStableFunc(v.Pieces, func(a, b policy.Piece) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Chunk, b.Chunk), cmp.Compare(a.From, b.From))
	})
	s.before(&v)
	s.view = v
	return v
}

// show is a piece as a policy sees it; due is when its chunk is needed.
func (s *sight) show(p *piece, due time.Duration) policy.Piece {
	c := p.c
	from, to := p.span()
	end, pace := c.plan.at(p.offset())
	pp := policy.Piece{
		ID: p.id, Chunk: c.id, From: from, To: to, Size: int64(c.req.Ref.Size), Arrived: c.arrived, Due: due + pace,
		Fragment: end, Grain: c.grain, Whole: p.whole, Need: p.need(), Done: len(p.complete),
	}
	first := len(s.ints)
	for _, t := range c.req.Targets {
		if !c.failed[t.Store.ID] && !p.complete[t.Peer] {
			s.ints = append(s.ints, s.index[t.Peer])
		}
	}
	pp.Holders = s.ints[first:len(s.ints):len(s.ints)]
	start := len(s.runs)
	for _, a := range p.attempts {
		s.runs = append(s.runs, a.view(s.index[a.peer]))
	}
	pp.Running = s.runs[start:len(s.runs):len(s.runs)]
	return pp
}

// before says of each attempt how many bytes of older ones its store sends first, or what
// is left of cut ones.
func (s *sight) before(v *policy.View) {
	for i := range v.Pieces {
		for k := range v.Pieces[i].Running {
			s.order = append(s.order, running{piece: i, at: k})
		}
	}
	slices.SortFunc(s.order, func(a, b running) int {
		return cmp.Compare(v.Pieces[a.piece].Running[a.at].Started, v.Pieces[b.piece].Running[b.at].Started)
	})
	owed := make([]int64, len(v.Stores))
	for i := range v.Stores {
		owed[i] = v.Stores[i].Ghosts
	}
	for _, o := range s.order {
		a := &v.Pieces[o.piece].Running[o.at]
		a.Before = owed[a.Store]
		owed[a.Store] += a.Left()
	}
}
