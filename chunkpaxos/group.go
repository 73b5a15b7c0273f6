package chunkpaxos

import (
	"fmt"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// group is one placement group as this store sees it.
type group struct {
	pg        vstack.PG
	epoch     vstack.Epoch              // the catalog's; 0: not told yet
	attempt   uint32                    // install attempt that activated epoch; 0: none needed
	member    bool                      // this store is one of the acceptors
	sealed    vstack.Epoch              // this epoch and all below are frozen, durably
	amnesic   vstack.Epoch              // barred up to this epoch: votes may have been forgotten
	installed vstack.Epoch              // its install was put in force here
	staged    map[vstack.Epoch]*staging // of the newest two epochs, not older than epoch
	slots     map[vstack.Slot]*slot
	inflight  int          // votes and promises being appended
	sealing   vstack.Epoch // no new ones: a seal of this epoch is under way; 0: none
	seals     []*request   // wait for the seal, the first one appends it
	lax       bool         // acceptorMutant.uninstalled
}

func (a *Acceptor) group(pg vstack.PG) *group {
	g := a.groups[pg]
	if g == nil {
		g = &group{pg: pg, slots: make(map[vstack.Slot]*slot), staged: make(map[vstack.Epoch]*staging), lax: a.mutant.uninstalled}
		a.groups[pg] = g
	}
	return g
}

// complete reports whether the store holds all that its epoch began with. Without it
// the store neither votes nor tells its votes to a seal: they would lack some.
func (g *group) complete() bool {
	return g.attempt == 0 || g.installed == g.epoch || g.lax
}

// Uninstalled lists the groups that the store acts for and whose epoch in force it does
// not hold completely yet. It neither votes in them nor answers their seals. When the
// driver that should bring the install is gone, the next epoch brings another one.
func (a *Acceptor) Uninstalled() (waiting []vstack.PG) {
	for pg := range vstack.PG(vstack.PlacementGroups) {
		if g := a.groups[pg]; g != nil && g.member && !g.complete() {
			waiting = append(waiting, pg)
		}
	}
	return waiting
}

// refuse says why the group takes no vote and no promise here, or returns nil.
func (g *group) refuse() *message.Nack {
	switch {
	case g == nil || g.epoch == 0:
		return &message.Nack{Reason: vstack.ErrCatalogLagging, Detail: "the placement group has no targets yet"}
	case !g.member:
		return &message.Nack{Reason: vstack.ErrNotAcceptor, Detail: fmt.Sprintf("placement group %d at epoch %d", g.pg, g.epoch), Epoch: g.epoch}
	case g.epoch <= g.amnesic:
		// "a store that recovers below its echo does not vote until its PGs moved epoch"
		return &message.Nack{Reason: vstack.ErrAmnesic, Detail: fmt.Sprintf("placement group %d up to epoch %d", g.pg, g.amnesic), Epoch: g.epoch}
	case !g.complete():
		return &message.Nack{Reason: vstack.ErrUnavailable, Detail: fmt.Sprintf("epoch %d of placement group %d is not installed here yet", g.epoch, g.pg), Epoch: g.epoch}
	case g.epoch <= g.sealed || g.epoch <= g.sealing:
		return &message.Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("epoch %d of placement group %d is sealed", g.epoch, g.pg), Epoch: g.epoch}
	}
	return nil
}

// onSeal: "SEAL(e) made durable on a majority of the old acceptors, each returning
// its slot state for unpublished uploads".
func (a *Acceptor) onSeal(r *request, m message.Seal) {
	g := a.groups[m.PG]
	if g != nil && g.epoch != m.Epoch {
		a.nack(r, message.Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("seal of epoch %d, placement group %d is at %d", m.Epoch, m.PG, g.epoch), Epoch: g.epoch})
		return
	}
	nack := g.refuse()
	if g != nil && nack != nil && nack.Reason == vstack.ErrEpochStale {
		nack = nil // sealed, or about to be: that is what is asked for
	}
	switch {
	case nack != nil:
		a.nack(r, *nack)
	case a.mutant.unsealed:
		a.respond(r, a.sealedPage(g, m, 0))
	case g.sealed >= m.Epoch: // a repeat, or the next page: the epoch is frozen
		a.respond(r, a.sealedPage(g, m, 0))
	case len(g.seals) >= a.cfg.MaxQueue:
		a.nack(r, message.Nack{Reason: vstack.ErrUnavailable, Detail: "too many seals wait for this group", Epoch: g.epoch})
	default:
		r.stage = queued
		g.sealing = m.Epoch
		g.seals = append(g.seals, r)
		a.freeze(g)
	}
}

// freeze appends the seal once nothing of the epoch is under way any more: what is
// acknowledged after a seal was answered would be missing from the answer.
func (a *Acceptor) freeze(g *group) {
	if len(g.seals) == 0 || g.seals[0].stage != queued || g.inflight > 0 {
		return
	}
	a.append(g.seals[0], false, Durable{Kind: DurableSeal, PG: g.pg, Epoch: g.sealing})
}

func (a *Acceptor) sealed(r *request, m message.Seal, done AppendDone) {
	g := a.groups[m.PG]
	waiting := g.seals[1:]
	g.seals, g.sealing = nil, 0
	if done.Err != nil {
		a.nack(r, message.Nack{Reason: vstack.SentinelOf(done.Err), Detail: done.Err.Error(), Epoch: g.epoch})
	} else {
		g.sealed = max(g.sealed, m.Epoch)
		if g.epoch == m.Epoch {
			a.respond(r, a.sealedPage(g, m, done.LSN))
		} else { // an activation overtook the append
			a.judge(r)
		}
	}
	for _, w := range waiting {
		if w.canceled {
			delete(a.requests, w.token)
			continue
		}
		a.judge(w)
	}
}

func (a *Acceptor) sealedPage(g *group, m message.Seal, lsn vstack.LSN) message.Sealed {
	var votes []message.Vote
	for where, s := range g.slots {
		if v := a.volumes[where.Video]; v != nil && !s.accepted.IsZero() {
			votes = append(votes, message.Vote{Slot: where, Upload: v.upload, Epoch: s.epoch, Ballot: s.accepted, Value: s.value})
		}
	}
	p := message.Sealed{Store: a.cfg.Store, LSN: lsn, PG: g.pg, Epoch: m.Epoch}
	p.Votes, p.More = page(votes, m.After, m.Limit)
	return p
}
