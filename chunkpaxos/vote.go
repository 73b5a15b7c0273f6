package chunkpaxos

import (
	"fmt"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// onAccept is onPut of the specification; the slot is free.
func (a *Acceptor) onAccept(r *request, m message.Accept) {
	v, g, nack := a.fence(m.Slot, m.Epoch, m.Upload, m.Ballot)
	if nack == nil && (m.Value.Chunk.IsZero() || m.Value.Size == 0 || m.Value.Size > vstack.MaxChunkSize) {
		nack = &message.Nack{Reason: vstack.ErrInvalid, Detail: fmt.Sprintf("value of %d bytes, want 1 to %d", m.Value.Size, vstack.MaxChunkSize)}
	}
	if nack != nil {
		a.nack(r, *nack)
		return
	}
	s := v.peek(m.Slot)
	if nack := a.refuseAccept(v, s, m); nack != nil {
		nack.Epoch = g.epoch
		a.nack(r, *nack)
		return
	}
	if m.Ballot == s.accepted && m.Value == s.value { // "m.ballot == accepted.ballot: same value → ACK"
		a.respond(r, message.Accepted{Store: a.cfg.Store, LSN: s.lsn, Slot: m.Slot, Ballot: m.Ballot, Value: m.Value})
		return
	}
	// "A vote is cast only by a node that durably holds the verified bytes."
	held := r.stored || !s.accepted.IsZero() && s.value == m.Value
	if !held && !r.bytes {
		r.stage = fetching
		a.out = append(a.out, FetchBytes{Token: r.token, Slot: m.Slot, Values: []vstack.Value{m.Value}})
		return
	}
	if !a.keep(v, g, m.Slot) {
		a.nack(r, message.Nack{Reason: vstack.ErrUnavailable, Detail: "too many slots of unpublished uploads"})
		return
	}
	// "append {bytes, slot, ballot, value}; fdatasync"
	a.hold(r, m.Slot, v, g)
	a.append(r, !held, Durable{
		Kind: DurableVote, Slot: m.Slot, PG: g.pg, Epoch: m.Epoch, Upload: m.Upload, Ballot: m.Ballot, Value: m.Value,
	})
}

// refuseAccept judges the ballot of an accept against the slot.
func (a *Acceptor) refuseAccept(v *volume, s slot, m message.Accept) *message.Nack {
	bar := v.bar(s)
	fast := m.Ballot.Round == 0
	if fast && a.mutant.fastAnywhere {
		return nil
	}
	switch {
	case m.Ballot == s.accepted && m.Value != s.value && !a.mutant.ignoreBallots:
		// "other value → refuse + alarm"
		detail := fmt.Sprintf("slot %s: ballot %s was used for chunk %s, now for %s", m.Slot, m.Ballot, s.value.Chunk.Short(), m.Value.Chunk.Short())
		a.out = append(a.out, Alarm{Reason: vstack.ErrBallotReused, Detail: detail})
		return &message.Nack{Reason: vstack.ErrBallotReused, Detail: detail, Ballot: s.accepted, Value: s.value}
	case m.Ballot.Less(bar):
		// "m.ballot < max(promised(slot), minimum(upload), accepted(slot).ballot) → NACK(that ballot)"
		return &message.Nack{Reason: vstack.ErrBallotStale, Detail: fmt.Sprintf("%s is below %s", m.Ballot, bar), Ballot: bar, Value: s.value}
	case fast && !s.accepted.IsZero() && s.value != m.Value:
		// "round 0: … slot holds another value → NACK"
		return &message.Nack{Reason: vstack.ErrSlotConflict, Detail: "round 0 needs an empty slot", Ballot: s.accepted, Value: s.value}
	}
	return nil
}

// voted: "ACK(storeUUID, lsn)". The vote is durable; memory follows the disk.
func (a *Acceptor) voted(r *request, m message.Accept, done AppendDone) {
	defer a.release(m.Slot)
	s, nack := a.afterAppend(m.Slot, m.Epoch, done.Err)
	if nack != nil {
		a.nack(r, *nack)
		return
	}
	s.accepted, s.value, s.epoch, s.lsn = m.Ballot, m.Value, m.Epoch, done.LSN
	s.promised = maxBallot(s.promised, m.Ballot) // "Accepting raises the promise."
	a.respond(r, message.Accepted{Store: a.cfg.Store, LSN: done.LSN, Slot: m.Slot, Ballot: m.Ballot, Value: m.Value})
}

// onPrepare: "same fences; b > promised, minimum, accepted → append promise". The
// slot is free. A repeat of the promised ballot, which only its one proposer can
// send, is promised again: its answer was lost.
func (a *Acceptor) onPrepare(r *request, m message.Prepare) {
	v, g, nack := a.fence(m.Slot, m.Epoch, m.Upload, m.Ballot)
	if nack == nil && m.Ballot.Round == 0 {
		nack = &message.Nack{Reason: vstack.ErrInvalid, Detail: "round 0 skips phase 1"}
	}
	if nack != nil {
		a.nack(r, *nack)
		return
	}
	s := v.peek(m.Slot)
	if bar := v.bar(s); m.Ballot.Less(bar) {
		a.nack(r, message.Nack{Reason: vstack.ErrBallotStale, Detail: fmt.Sprintf("%s is below %s", m.Ballot, bar), Ballot: bar, Epoch: g.epoch, Value: s.value})
		return
	}
	if m.Ballot == s.promised {
		a.respond(r, a.promise(g, s, m, s.lsn))
		return
	}
	if !a.keep(v, g, m.Slot) {
		a.nack(r, message.Nack{Reason: vstack.ErrUnavailable, Detail: "too many slots of unpublished uploads"})
		return
	}
	a.hold(r, m.Slot, v, g)
	a.append(r, false, Durable{Kind: DurablePromise, Slot: m.Slot, PG: g.pg, Epoch: m.Epoch, Upload: m.Upload, Ballot: m.Ballot})
}

// promised: "reply accepted (slot, ballot, value)…".
func (a *Acceptor) promised(r *request, m message.Prepare, done AppendDone) {
	defer a.release(m.Slot)
	s, nack := a.afterAppend(m.Slot, m.Epoch, done.Err)
	if nack != nil {
		a.nack(r, *nack)
		return
	}
	s.promised = maxBallot(s.promised, m.Ballot)
	a.respond(r, a.promise(a.groups[m.Slot.PG()], *s, m, done.LSN))
}

func (a *Acceptor) promise(g *group, s slot, m message.Prepare, lsn vstack.LSN) message.Promise {
	return message.Promise{
		Store: a.cfg.Store, LSN: lsn, Slot: m.Slot, Epoch: g.epoch, Ballot: m.Ballot,
		Accepted: s.accepted, Value: s.value,
	}
}

// onQuery reads; it promises nothing.
func (a *Acceptor) onQuery(r *request, m message.Query) {
	g := a.groups[m.Slot.PG()]
	if nack := g.refuse(); nack != nil {
		a.nack(r, *nack)
		return
	}
	v := a.volumes[m.Slot.Video]
	if v == nil {
		if _, open := a.open[m.Slot.Video]; !open {
			a.nack(r, message.Nack{Reason: vstack.ErrUploadNotLive, Detail: "no open upload fills the slot", Epoch: g.epoch})
			return
		}
		v = &volume{}
	}
	s := v.peek(m.Slot)
	a.respond(r, message.SlotState{
		Store: a.cfg.Store, LSN: s.lsn, Slot: m.Slot, Epoch: g.epoch,
		Promised: maxBallot(s.promised, v.minimum), Accepted: s.accepted, Value: s.value,
	})
}

// fence makes the checks that do not depend on the slot's own state.
func (a *Acceptor) fence(s vstack.Slot, e vstack.Epoch, id vstack.UploadID, b vstack.Ballot) (*volume, *group, *message.Nack) {
	g := a.groups[s.PG()]
	if g == nil {
		return nil, nil, g.refuse()
	}
	// "m.epoch != pg.epoch, sealed, amnesic → NACK(epoch)"
	if e != g.epoch {
		return nil, nil, &message.Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("epoch %d, placement group %d is at %d", e, g.pg, g.epoch), Epoch: g.epoch}
	}
	if nack := g.refuse(); nack != nil {
		return nil, nil, nack
	}
	nack := a.fenceUpload(id, b)
	if up := a.uploads[id]; nack == nil && up.Video != s.Video {
		nack = &message.Nack{Reason: vstack.ErrInvalid, Detail: fmt.Sprintf("upload %s fills video %s", id, up.Video)}
	}
	if nack != nil {
		nack.Epoch = g.epoch
		return nil, nil, nack
	}
	return a.volume(id, s.Video), g, nil
}

// fenceUpload: "upload not live in the catalog → NACK", and the fence between the
// incarnations of one upload.
func (a *Acceptor) fenceUpload(id vstack.UploadID, b vstack.Ballot) *message.Nack {
	up, open := a.uploads[id]
	switch {
	case !open:
		return &message.Nack{Reason: vstack.ErrUploadNotLive, Detail: fmt.Sprintf("upload %s is not open at catalog index %d", id, a.applied)}
	case b.Incarnation < up.Incarnation:
		return &message.Nack{Reason: vstack.ErrFenced, Detail: fmt.Sprintf("incarnation %d, upload is at %d", b.Incarnation, up.Incarnation)}
	case b.Incarnation > up.Incarnation:
		return &message.Nack{Reason: vstack.ErrCatalogLagging, Detail: fmt.Sprintf("incarnation %d is unknown at catalog index %d", b.Incarnation, a.applied)}
	case b.Round == 0 && b.Proposer != up.Owner:
		// "round 0: m is not that upload's owner → NACK"
		return &message.Nack{Reason: vstack.ErrNotOwner, Detail: fmt.Sprintf("round 0 of incarnation %d is not %s's", b.Incarnation, b.Proposer)}
	case !b.Proposer.Alongside(up.Owner):
		// "m is of another host than the owner → NACK"
		return &message.Nack{Reason: vstack.ErrNotOwner, Detail: fmt.Sprintf("%s is of another host than the owner of incarnation %d", b.Proposer, up.Incarnation)}
	}
	return nil
}

// afterAppend finds the slot again after its append, or says why its outcome must
// not be acknowledged. The record, if there is one, stays on disk as a vote that
// nobody counted, which is harmless.
func (a *Acceptor) afterAppend(s vstack.Slot, e vstack.Epoch, err error) (*slot, *message.Nack) {
	g, v := a.groups[s.PG()], a.volumes[s.Video]
	switch {
	case err != nil:
		return nil, &message.Nack{Reason: vstack.SentinelOf(err), Detail: err.Error(), Epoch: g.epoch}
	case v == nil:
		return nil, &message.Nack{Reason: vstack.ErrUploadNotLive, Detail: "the upload ended meanwhile", Epoch: g.epoch}
	case g.epoch != e:
		return nil, &message.Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("epoch %d ended meanwhile", e), Epoch: g.epoch}
	case g.epoch <= g.amnesic:
		return nil, g.refuse()
	}
	return v.slots[place{s.Track, s.Seq}], nil
}
