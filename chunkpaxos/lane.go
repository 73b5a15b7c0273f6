package chunkpaxos

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// lane is a busy slot: "slot lock held from check to acknowledgement". Requests for
// the slot wait in it, in order of arrival. Other slots never wait for it.
type lane struct {
	holder *request
	queue  []*request // bounded by MaxQueue
}

// onLane runs an Accept or a Prepare when its slot is free.
func (a *Acceptor) onLane(r *request, s vstack.Slot) {
	l := a.lanes[s]
	if l == nil {
		a.run(r)
		return
	}
	if len(l.queue) >= a.cfg.MaxQueue {
		a.nack(r, message.Nack{Reason: vstack.ErrUnavailable, Detail: "too many requests wait for this slot"})
		return
	}
	r.stage = queued
	l.queue = append(l.queue, r)
}

// run checks an Accept or a Prepare on a free slot.
func (a *Acceptor) run(r *request) {
	switch m := r.msg.(type) {
	case message.Accept:
		a.onAccept(r, m)
	case message.Prepare:
		a.onPrepare(r, m)
	}
}

// hold takes the slot, and counts the append that volume and group wait for before
// they answer a ranged prepare or a seal.
func (a *Acceptor) hold(r *request, s vstack.Slot, v *volume, g *group) {
	l := a.lanes[s]
	if l == nil {
		l = &lane{}
		a.lanes[s] = l
	}
	l.holder = r
	v.inflight++
	g.inflight++
}

// release frees the slot after the acknowledgement and lets the next ones run until
// one holds it again.
func (a *Acceptor) release(s vstack.Slot) {
	if v := a.volumes[s.Video]; v != nil {
		v.inflight--
		a.raise(v)
	}
	if g := a.groups[s.PG()]; g != nil {
		g.inflight--
		a.freeze(g)
	}
	l := a.lanes[s]
	l.holder = nil
	for l.holder == nil && len(l.queue) > 0 {
		next := l.queue[0]
		l.queue = l.queue[1:]
		if next.canceled {
			delete(a.requests, next.token)
			continue
		}
		a.run(next)
	}
	if l.holder == nil {
		delete(a.lanes, s)
	}
}

// needs is the catalog index that a message wants applied before it is judged:
// "upload not live in the catalog (applied ≥ m.uploadIndex first)".
func (a *Acceptor) needs(m message.Message) uint64 {
	switch m := m.(type) {
	case message.Accept:
		return max(a.start, m.UploadIndex)
	case message.Prepare:
		return max(a.start, m.UploadIndex)
	case message.PrepareUpload:
		return max(a.start, m.UploadIndex)
	}
	return a.start
}

// early reports whether the catalog has yet to tell of what a message is about. Its
// sender, who has seen a newer one, is served sooner by a wait than by a refusal: after
// an epoch change clients often come before the feed.
func (a *Acceptor) early(m message.Message) bool {
	return !a.echoed || a.applied < a.needs(m) || a.ahead(m)
}

// ahead reports whether a message is of a later epoch than its group's.
func (a *Acceptor) ahead(m message.Message) bool {
	pg, epoch := epochIn(m)
	return a.epoch(pg) < epoch
}

// epochIn is the group and the epoch that a message is of; 0 for one of none.
func epochIn(m message.Message) (vstack.PG, vstack.Epoch) {
	switch m := m.(type) {
	case message.Accept:
		return m.Slot.PG(), m.Epoch
	case message.Prepare:
		return m.Slot.PG(), m.Epoch
	case message.Seal:
		return m.PG, m.Epoch
	}
	return 0, 0
}

// epoch is a group's as the catalog told it, 0 before it did.
func (a *Acceptor) epoch(pg vstack.PG) vstack.Epoch {
	if g := a.groups[pg]; g != nil {
		return g.epoch
	}
	return 0
}

// lagging refuses what the catalog did not catch up with in time.
func (a *Acceptor) lagging(m message.Message) message.Nack {
	if !a.echoed || a.applied < a.needs(m) {
		return message.Nack{Reason: vstack.ErrCatalogLagging, Detail: fmt.Sprintf("catalog applied to %d, want %d", a.applied, a.needs(m))}
	}
	pg, epoch := epochIn(m)
	return message.Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("epoch %d of placement group %d, the catalog tells of %d", epoch, pg, a.epoch(pg)), Epoch: a.epoch(pg)}
}

// park lets a request wait for the catalog, until its timer runs out.
func (a *Acceptor) park(r *request) {
	r.stage = parked
	a.parked = append(a.parked, r)
	a.out = append(a.out, SetTimer{Token: r.token, After: a.cfg.CatchUp})
}

func (a *Acceptor) unpark(r *request) {
	if i := slices.Index(a.parked, r); i >= 0 {
		a.parked = slices.Delete(a.parked, i, i+1)
	}
}

// wake judges the parked requests that the catalog has caught up with.
func (a *Acceptor) wake() {
	if !a.echoed || len(a.parked) == 0 {
		return
	}
	waiting := a.parked
	a.parked = nil
	for _, r := range waiting {
		if a.early(r.msg) {
			a.parked = append(a.parked, r)
			continue
		}
		a.judge(r)
	}
}
