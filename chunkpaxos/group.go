package chunkpaxos

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// group is one placement group as this store sees it.
type group struct {
	pg        vstack.PG
	epoch     vstack.Epoch // the catalog's; 0: not told yet
	attempt   uint32       // install attempt that activated epoch; 0: none needed
	member    bool         // this store is one of the acceptors
	sealed    vstack.Epoch // this epoch and all below are frozen, durably
	amnesic   vstack.Epoch // barred up to this epoch: votes may have been forgotten
	installed vstack.Epoch // staged was put in force for this epoch
	staged    staging
	slots     map[vstack.Slot]*slot
	inflight  int          // votes and promises being appended
	sealing   vstack.Epoch // no new ones: a seal of this epoch is under way; 0: none
	seals     []*request   // wait for the seal, the first one appends it
}

// staging is one attempt to install an epoch; it votes only once it is activated.
type staging struct {
	epoch    vstack.Epoch
	attempt  uint32
	complete bool
	votes    map[vstack.Slot]Vote
}

func (s staging) is(e vstack.Epoch, attempt uint32) bool {
	return s.epoch == e && s.attempt == attempt
}

func (a *Acceptor) group(pg vstack.PG) *group {
	g := a.groups[pg]
	if g == nil {
		g = &group{pg: pg, slots: make(map[vstack.Slot]*slot)}
		a.groups[pg] = g
	}
	return g
}

// refuse says why the group takes no vote and no promise here, or returns nil.
func (g *group) refuse() *Nack {
	switch {
	case g == nil || g.epoch == 0:
		return &Nack{Reason: vstack.ErrCatalogLagging, Detail: "the placement group has no targets yet"}
	case !g.member:
		return &Nack{Reason: vstack.ErrNotAcceptor, Detail: fmt.Sprintf("placement group %d at epoch %d", g.pg, g.epoch), Epoch: g.epoch}
	case g.epoch <= g.amnesic:
		// "a store that recovers below its echo does not vote until its PGs moved epoch"
		return &Nack{Reason: vstack.ErrAmnesic, Detail: fmt.Sprintf("placement group %d up to epoch %d", g.pg, g.amnesic), Epoch: g.epoch}
	case g.epoch <= g.sealed || g.epoch <= g.sealing:
		return &Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("epoch %d of placement group %d is sealed", g.epoch, g.pg), Epoch: g.epoch}
	case g.attempt > 0 && g.installed != g.epoch:
		return &Nack{Reason: vstack.ErrUnavailable, Detail: fmt.Sprintf("epoch %d of placement group %d is not installed here yet", g.epoch, g.pg), Epoch: g.epoch}
	}
	return nil
}

// onSeal: "SEAL(e) made durable on a majority of the old acceptors, each returning
// its slot state for unpublished uploads".
func (a *Acceptor) onSeal(r *request, m Seal) {
	g := a.groups[m.PG]
	if g != nil && g.epoch != m.Epoch {
		a.nack(r, Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("seal of epoch %d, placement group %d is at %d", m.Epoch, m.PG, g.epoch), Epoch: g.epoch})
		return
	}
	nack := g.refuse()
	if g != nil && nack != nil && nack.Reason == vstack.ErrEpochStale {
		nack = nil // sealed, or about to be: that is what is asked for
	}
	switch {
	case nack != nil:
		a.nack(r, *nack)
	case g.sealed >= m.Epoch: // a repeat, or the next page: the epoch is frozen
		a.respond(r, a.sealedPage(g, m, 0))
	case len(g.seals) >= a.cfg.MaxQueue:
		a.nack(r, Nack{Reason: vstack.ErrUnavailable, Detail: "too many seals wait for this group", Epoch: g.epoch})
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

func (a *Acceptor) sealed(r *request, m Seal, done AppendDone) {
	g := a.groups[m.PG]
	waiting := g.seals[1:]
	g.seals, g.sealing = nil, 0
	if done.Err != nil {
		a.nack(r, Nack{Reason: vstack.SentinelOf(done.Err), Detail: done.Err.Error(), Epoch: g.epoch})
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

func (a *Acceptor) sealedPage(g *group, m Seal, lsn vstack.LSN) Sealed {
	var votes []Vote
	for where, s := range g.slots {
		if v := a.volumes[where.Video]; v != nil && !s.accepted.IsZero() {
			votes = append(votes, Vote{Slot: where, Upload: v.upload, Epoch: s.epoch, Ballot: s.accepted, Value: s.value})
		}
	}
	p := Sealed{Store: a.cfg.Store, LSN: lsn, PG: g.pg, Epoch: m.Epoch}
	p.Votes, p.More = page(votes, m.After, m.Limit)
	return p
}

// InstallBallot is "the lowest ballot of e+1": below every ballot that an incarnation
// can make. The attempt is in it so that two drivers never share one.
func InstallBallot(attempt uint32) vstack.Ballot { return vstack.Ballot{Round: attempt} }

// onInstall: "Install the highest-ballot values, re-stamped at the lowest ballot of
// e+1, on a majority of the new acceptors, bytes first".
func (a *Acceptor) onInstall(r *request, m Install) {
	g := a.group(m.PG)
	if nack := a.refuseInstall(g, m); nack != nil {
		nack.Epoch = g.epoch
		a.nack(r, *nack)
		return
	}
	if g.staged.is(m.Epoch, m.Attempt) && g.staged.complete { // a repeat
		a.respond(r, Installed{Store: a.cfg.Store, PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt, Final: true})
		return
	}
	if len(m.Votes) > 0 && !r.stored {
		r.stage = fetching
		values := make([]vstack.Value, len(m.Votes))
		for i, v := range m.Votes {
			values[i] = v.Value
		}
		a.out = append(a.out, FetchBytes{Token: r.token, Slot: m.Votes[0].Slot, Values: values, Store: true})
		return
	}
	if m.First {
		g.staged = staging{epoch: m.Epoch, attempt: m.Attempt, votes: make(map[vstack.Slot]Vote)}
	}
	records := make([]Durable, 0, len(m.Votes)+1)
	for _, v := range m.Votes {
		records = append(records, Durable{
			Kind: DurableInstall, Slot: v.Slot, PG: m.PG, Epoch: m.Epoch, Upload: v.Upload,
			Ballot: InstallBallot(m.Attempt), Value: v.Value,
		})
	}
	if m.Final {
		records = append(records, Durable{Kind: DurableInstall, PG: m.PG, Epoch: m.Epoch, Ballot: InstallBallot(m.Attempt)})
	}
	if len(records) == 0 {
		a.respond(r, Installed{Store: a.cfg.Store, PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt})
		return
	}
	a.append(r, false, records...)
}

func (a *Acceptor) refuseInstall(g *group, m Install) *Nack {
	if m.Attempt == 0 || len(m.Votes) > MaxPage {
		return &Nack{Reason: vstack.ErrInvalid, Detail: fmt.Sprintf("install attempt %d with %d votes", m.Attempt, len(m.Votes))}
	}
	for _, v := range m.Votes {
		if v.Slot.PG() != m.PG || v.Value.Chunk.IsZero() || v.Value.Size == 0 || v.Value.Size > vstack.MaxChunkSize {
			return &Nack{Reason: vstack.ErrInvalid, Detail: fmt.Sprintf("slot %s with %d bytes is not for placement group %d", v.Slot, v.Value.Size, m.PG)}
		}
	}
	switch {
	case m.Epoch < g.epoch || m.Epoch == g.epoch && (g.attempt != m.Attempt || g.installed == g.epoch && !g.staged.is(m.Epoch, m.Attempt)):
		return &Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("install of epoch %d attempt %d, placement group %d is at %d", m.Epoch, m.Attempt, m.PG, g.epoch)}
	case m.Epoch < g.staged.epoch || m.Epoch == g.staged.epoch && m.Attempt < g.staged.attempt:
		return &Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("attempt %d of epoch %d came before", g.staged.attempt, g.staged.epoch)}
	case !m.First && !g.staged.is(m.Epoch, m.Attempt):
		return &Nack{Reason: vstack.ErrInvalid, Detail: "the first page is missing"}
	}
	return nil
}

func (a *Acceptor) installed(r *request, m Install, done AppendDone) {
	g := a.groups[m.PG]
	switch {
	case done.Err != nil:
		a.nack(r, Nack{Reason: vstack.SentinelOf(done.Err), Detail: done.Err.Error(), Epoch: g.epoch})
		return
	case !g.staged.is(m.Epoch, m.Attempt):
		a.nack(r, Nack{Reason: vstack.ErrEpochStale, Detail: "another attempt began meanwhile", Epoch: g.epoch})
		return
	}
	for _, v := range m.Votes {
		g.staged.votes[v.Slot] = Vote{Slot: v.Slot, Upload: v.Upload, Epoch: m.Epoch, Ballot: InstallBallot(m.Attempt), Value: v.Value}
	}
	g.staged.complete = g.staged.complete || m.Final
	a.activate(g)
	a.respond(r, Installed{Store: a.cfg.Store, LSN: done.LSN, PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt, Final: m.Final})
}

// activate puts a complete attempt in force, if the catalog named it: votes of older
// epochs go, what was voted in this one since stays.
func (a *Acceptor) activate(g *group) {
	if g.attempt == 0 || g.installed == g.epoch || !g.staged.complete || !g.staged.is(g.epoch, g.attempt) {
		return
	}
	for _, s := range g.slots {
		if s.epoch < g.epoch {
			s.accepted, s.value, s.epoch, s.lsn = vstack.Ballot{}, vstack.Value{}, 0, 0
		}
	}
	where := make([]vstack.Slot, 0, len(g.staged.votes))
	for s := range g.staged.votes {
		where = append(where, s)
	}
	slices.SortFunc(where, CompareSlots)
	for _, at := range where {
		vote := g.staged.votes[at]
		if a.open[at.Video] != vote.Upload {
			continue // it ended meanwhile
		}
		if s := a.add(a.volume(vote.Upload, at.Video), g, at); s.epoch < g.epoch {
			s.accepted, s.value, s.epoch = vote.Ballot, vote.Value, vote.Epoch
		}
	}
	g.installed, g.staged.votes = g.epoch, nil
}
