package permit

import (
	"maps"
	"slices"
	"time"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	metacatalog "github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/liveness"
)

// poll gives a store what a member at some state of the catalog tells it.
func (w *world) poll(n *node, s *state) {
	if n.deaf {
		return
	}
	again := n.view.at != nil && n.view.reading != Groups{}
	if n.view.at != nil && s.index < n.view.at.index {
		if again && w.m.laggingEnd {
			n.view.stale, n.view.behind, n.view.reading = s, n.view.reading, Groups{}
		}
		return // an older member
	}
	fresh := n.view.at == nil
	n.view.at, n.view.stale, n.view.reading = s, nil, Groups{}
	for pg, g := range s.m.Groups {
		mine := g.Index(n.id) >= 0 || g.Takes(n.id)
		if mine && !n.known[pg] {
			n.known[pg], n.view.reading[pg] = true, !fresh
		}
		if mine {
			n.member[pg] = true
		}
	}
	for id, at := range n.voted {
		if s.index >= at {
			delete(n.voted, id)
		}
	}
}

// survey is what the loop does, over the store's view.
func (w *world) survey(n *node) (*Survey, []has) {
	s := NewSurvey(n.id, n.known, 1, &n.view)
	s.rules = w.m.rules
	var missing []has
	if n.view.at == nil {
		return s, nil
	}
	for _, id := range slices.SortedFunc(maps.Keys(n.view.at.films), func(a, b vstack.VideoID) int { return slices.Compare(a[:], b[:]) }) {
		f := n.view.at.films[id]
		for _, r := range f.refs {
			pg := r.slot.PG()
			if !n.known[pg] || n.view.reading[pg] {
				continue
			}
			if n.view.stale != nil && n.view.behind[pg] && n.view.stale.films[id].refs == nil {
				continue
			}
			var held []Held
			for _, p := range all(r.chunk) {
				if good, here := n.disk[p]; here {
					held = append(held, Held{Piece: p.piece, Damaged: !good && !w.m.damagedHeld})
				}
			}
			index := f.classIndex
			if w.m.rowIndex {
				index = f.row
			}
			lacking := s.Add(catalog.Reference{Slot: r.slot, Chunk: r.chunk, Class: f.class, Scheme: f.scheme(), ClassIndex: index}, held)
			for _, p := range all(r.chunk) {
				if lacking.Wants(p.piece) {
					missing = append(missing, p)
				}
			}
		}
	}
	return s, missing
}

// step is one survey with its drops, told at its end.
func (w *world) step(n *node) (missing []has) {
	s, missing := w.survey(n)
	answer := n.answer
	if w.now.Sub(n.told) > w.fresh {
		answer = Answer{Floor: answer.Floor}
	}
	due := w.due(n, s, answer)
	if w.m.laterDrop { // the plan of the survey before, once this one was told
		due, n.plan = n.plan, due
	}
	fence := n.fence
	if w.m.noFence {
		fence = 1
	}
	synced := fence > 0
	for pg, yes := range n.known {
		synced = synced && (!yes || n.view.Complete(vstack.PG(pg)) >= fence)
	}
	if synced {
		for _, p := range due {
			if _, voted := n.voted[p.chunk]; !voted {
				delete(n.disk, p)
				delete(n.free, p)
				w.drops++
			}
		}
		var voted Groups
		for _, f := range w.state().films {
			for _, r := range f.refs {
				if _, yes := n.voted[r.chunk]; yes {
					voted[r.slot.PG()] = true
				}
			}
		}
		for _, pg := range s.Done(voted) {
			n.known[pg], n.member[pg] = false, false
		}
	}
	if n.claims = s.Claims(); w.lie == nil {
		w.lie = w.verify(n)
	}
	return missing
}

func (w *world) due(n *node, s *Survey, answer Answer) (due []has) {
	since := map[has]time.Time{}
	for _, id := range slices.SortedFunc(maps.Keys(n.disk), compareHas) {
		if _, voted := n.voted[id.chunk]; voted || s.Wanted(id.chunk, id.piece) {
			continue
		}
		first, known := n.free[id]
		permitted := s.Permits(id.chunk, id.piece, answer)
		if !known && permitted {
			first, known = w.now, true
		}
		if known {
			since[id] = first
		}
		if permitted && w.now.Sub(first) >= simGrace {
			due = append(due, id)
		}
	}
	n.free = since
	return due
}

// pass is a step, some of the fetches that it asks for, and perhaps a step again.
func (w *world) pass(n *node, always bool) {
	missing := w.step(n)
	fetched := false
	for _, p := range missing {
		if !always && w.rnd.IntN(w.slow) > 0 {
			continue
		}
		if w.joins(p.chunk) {
			n.disk[p], fetched = true, true
		}
	}
	if fetched && (always || w.rnd.IntN(2) == 0) {
		w.step(n)
	}
}

// send puts a heartbeat on its way, to the leader in force or to one that was deposed.
func (w *world) send(n *node) {
	to := w.lead
	if w.rnd.IntN(4) == 0 && len(w.old) > 0 {
		to = w.old[len(w.old)-1]
	}
	if n.cut {
		return
	}
	n.seq++
	hb := wire.Heartbeat{Host: n.host, Seq: n.seq, Level: vstack.NewestLevel, Stores: []wire.StoreReport{{ID: n.id, Started: n.started, Claims: n.claims}}}
	w.beats = append(w.beats, beat{n, to, hb})
}

// deliver lets one heartbeat arrive: the store may be gone, and a later one there before it.
func (w *world) deliver(i int) {
	b := w.beats[i]
	w.beats = slices.Delete(w.beats, i, i+1)
	if !b.to.deposed.IsZero() && w.now.Sub(b.to.deposed) > simDeposed {
		return
	}
	b.to.monitor.Record(b.to.term, b.hb, w.now)
	index := w.state().index
	if b.to.knows != nil {
		index = b.to.knows.index
	}
	a := Answer{Floor: 1, Whole: map[vstack.PG]wire.GroupWhole{}}
	state := w.decide(b.to)
	if w.m.acceptors {
		m := *state.Map
		m.Groups = slices.Clone(m.Groups)
		for i := range m.Groups {
			m.Groups[i].Targets = m.Groups[i].Acceptors()
		}
		state.Map = &m
	}
	wholes, _ := liveness.Answer(state, b.hb)
	for _, of := range wholes {
		a.Whole[of.PG] = of
	}
	w.replies = append(w.replies, reply{b.from, b.from.started, b.hb.Seq, index, a})
}

// receive lets one answer arrive; that of a heartbeat which was given up finds nobody.
func (w *world) receive(i int) {
	r := w.replies[i]
	w.replies = slices.Delete(w.replies, i, i+1)
	n := r.to
	if !n.up || !n.started.Equal(r.started) || r.seq != n.seq {
		return
	}
	n.answer, n.told = r.answer, w.now
	if n.fence == 0 {
		n.fence = r.index
	}
}

// judge commits what the leader heard, and what it did not hear.
func (w *world) judge() {
	s := w.state()
	var stores []metacatalog.Store
	for _, st := range s.m.Stores {
		stores = append(stores, metacatalog.Store{Store: st})
	}
	p := w.lead.monitor.Judge(w.lead.term, stores, w.now)
	known := map[vstack.StoreID]bool{}
	for _, st := range s.m.Stores {
		known[st.ID] = true
	}
	fresh := slices.ContainsFunc(w.nodes, func(n *node) bool { return n.up && !known[n.id] })
	dead := slices.ContainsFunc(s.m.Stores, func(st vstack.Store) bool { return w.dead(st) })
	if len(p.States) == 0 && !fresh && !dead {
		return
	}
	w.commit(func(s *state) {
		for _, c := range p.States {
			i := slices.IndexFunc(s.m.Stores, func(st vstack.Store) bool { return st.ID == c.ID })
			if s.m.Stores[i].State = c.State; c.State == vstack.StoreUp && s.m.Stores[i].Leaving == vstack.LeaveDead {
				s.m.Stores[i].Leaving = ""
			}
		}
		for i := range s.m.Stores {
			if w.dead(s.m.Stores[i]) {
				s.m.Stores[i].Leaving = vstack.LeaveDead
			}
		}
		for _, n := range w.nodes {
			if n.up && !known[n.id] {
				s.m.Stores = append(s.m.Stores, vstack.Store{ID: n.id, Host: n.host, State: vstack.StoreUp})
			}
		}
	})
}

func (w *world) dead(st vstack.Store) bool {
	return st.State == vstack.StoreDown && st.Leaving == "" && w.lead.monitor.Silence(w.lead.term, st.ID, w.now) >= simDead && w.roles(st.ID) > 0
}

func (w *world) roles(id vstack.StoreID) (n int) {
	for _, g := range w.state().m.Groups {
		if g.Index(id) >= 0 || g.Takes(id) {
			n++
		}
	}
	return n
}

// look is one decision of the leader upon epochs.
func (w *world) look() {
	d, err := w.lead.planner.Decide(w.decide(w.lead))
	if err != nil {
		panic(err)
	}
	if len(d.Changes) == 0 {
		return
	}
	w.commit(func(s *state) {
		for _, c := range d.Changes {
			s.m.Groups[c.PG].Next = &vstack.NextEpoch{Epoch: c.From + 1, Attempt: c.After + 1, Targets: c.Targets, Driver: c.Driver,
				Fragments: s.m.Groups[c.PG].CarryFragments(c.Targets)}
		}
	})
}

// activate brings a prepared epoch into force whose driver lives and has its majorities.
func (w *world) activate(pg int) {
	alive := func(ids []vstack.StoreID) (n int) {
		for _, id := range ids {
			if w.node(id).up {
				n++
			}
		}
		return n
	}
	g := w.state().m.Groups[pg]
	if g.Next == nil || !w.node(g.Next.Driver).up || alive(g.Acceptors()) < vstack.Majority || alive(g.Next.Acceptors()) < vstack.Majority {
		return
	}
	w.epochs++
	w.commit(func(s *state) {
		s.m.Groups[pg] = vstack.PGTargets{Epoch: g.Next.Epoch, Attempt: g.Next.Attempt, Targets: g.Next.Targets, Fragments: g.Next.Fragments}
	})
	w.commit(func(s *state) { // whoever has no role any more does not leave any more
		for i := range s.m.Stores {
			if w.roles(s.m.Stores[i].ID) == 0 {
				s.m.Stores[i].Leaving = ""
			}
		}
	})
}

// publish fills slots with bytes that two or three acceptors of each group take, and names
// them in a film. A chunk may be one of another film.
func (w *world) publish() {
	s := w.state()
	if len(s.films) >= 6 {
		return
	}
	w.next++
	video := vstack.VideoID{w.next}
	var f film
	holders := map[vstack.ChunkID][]*node{}
	for range 1 + w.rnd.IntN(2) {
		pg := w.rnd.IntN(simGroups)
		slot := slots[pg][w.rnd.IntN(len(slots[pg]))]
		slot.Video = vstack.VideoID{} // the hash is that of the table
		g := s.m.Groups[pg]
		var able []*node
		for _, id := range g.Acceptors() {
			if n := w.node(id); n.up && n.known[pg] && n.view.at != nil && n.view.at.m.Groups[pg].Epoch == g.Epoch {
				able = append(able, n)
			}
		}
		if len(able) < vstack.Majority {
			return
		}
		w.rnd.Shuffle(len(able), func(i, j int) { able[i], able[j] = able[j], able[i] })
		able = able[:vstack.Majority+w.rnd.IntN(len(able)-vstack.Majority+1)]
		w.next++
		chunk := vstack.ChunkID{w.next, 1}
		if live := slices.Collect(maps.Keys(s.live())); len(live) > 0 && w.rnd.IntN(4) == 0 {
			chunk = slices.MinFunc(live, func(a, b vstack.ChunkID) int { return slices.Compare(a[:], b[:]) })
		}
		holders[chunk] = append(holders[chunk], able...)
		f.refs = append(f.refs, ref{slot, chunk})
	}
	f.class, f.row, f.classIndex = vstack.ClassHot, s.index+1, s.index+1
	for chunk, nodes := range holders {
		for _, n := range nodes {
			n.disk[copyOf(chunk)], n.voted[chunk] = true, s.index+1
		}
	}
	w.commit(func(s *state) { s.films[video] = f })
}

// joins reports whether the stores that run have a copy of a chunk, or enough fragments.
func (w *world) joins(id vstack.ChunkID) bool {
	var holders []holder
	for _, o := range w.nodes {
		var h holder
		for _, p := range all(id) {
			if o.up && o.disk[p] {
				h.copied = h.copied || p.piece.IsChunk()
				if !p.piece.IsChunk() {
					h.fragments |= 1 << p.piece.I
				}
			}
		}
		holders = append(holders, h)
	}
	return readable(holders)
}
