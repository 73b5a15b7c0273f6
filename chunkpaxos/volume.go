package chunkpaxos

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

func maxBallot(a, b vstack.Ballot) vstack.Ballot {
	if a.Less(b) {
		return b
	}
	return a
}

// volume returns what is kept of a video, made if there is nothing yet.
func (a *Acceptor) volume(id vstack.UploadID, video vstack.VideoID) *volume {
	v := a.volumes[video]
	if v == nil {
		v = &volume{upload: id, video: video, slots: make(map[place]*slot)}
		a.volumes[video] = v
	}
	return v
}

// peek returns a copy of a slot's state; the zero slot is empty.
func (v *volume) peek(s vstack.Slot) slot {
	if p := v.slots[place{s.Track, s.Seq}]; p != nil {
		return *p
	}
	return slot{}
}

// bar is "max(promised(slot), minimum(upload), accepted(slot).ballot)". A minimum
// that is still being appended counts: refusing early is always safe.
func (v *volume) bar(s slot) vstack.Ballot {
	return maxBallot(maxBallot(s.promised, s.accepted), maxBallot(v.minimum, v.rising))
}

// keep makes room for a slot's state; false when MaxSlots are kept already.
func (a *Acceptor) keep(v *volume, g *group, s vstack.Slot) bool {
	if v.slots[place{s.Track, s.Seq}] != nil {
		return true
	}
	if a.slots >= a.cfg.MaxSlots {
		return false
	}
	a.add(v, g, s)
	return true
}

func (a *Acceptor) add(v *volume, g *group, s vstack.Slot) *slot {
	p := place{s.Track, s.Seq}
	st := v.slots[p]
	if st == nil {
		st = &slot{pg: g.pg}
		v.slots[p] = st
		g.slots[s] = st
		a.slots++
	}
	return st
}

// onPrepareUpload: "Resuming = one ranged prepare per acceptor: upload U, minimum
// ballot b, durable as one record, answered with every slot the acceptor has
// accepted for U".
func (a *Acceptor) onPrepareUpload(r *request, m message.PrepareUpload) {
	if nack := a.fenceUpload(m.Upload, m.Ballot); nack != nil {
		a.nack(r, *nack)
		return
	}
	v := a.volume(m.Upload, a.uploads[m.Upload].Video)
	switch bar := maxBallot(v.minimum, v.rising); {
	case m.Ballot.Less(bar):
		a.nack(r, message.Nack{Reason: vstack.ErrBallotStale, Detail: fmt.Sprintf("%s is below the minimum %s", m.Ballot, bar), Ballot: bar})
	case m.Ballot == v.minimum: // a repeat, or the next page
		a.respond(r, a.uploadPromise(v, m, 0))
	case len(v.ranged) >= a.cfg.MaxQueue:
		a.nack(r, message.Nack{Reason: vstack.ErrUnavailable, Detail: "too many ranged prepares wait for this upload"})
	default:
		r.stage = queued
		v.ranged = append(v.ranged, r)
		a.raise(v)
	}
}

// raise starts the first waiting ranged prepare. Its ballot bars lower ones at once;
// what they have under way is awaited, so that the answer tells of it.
func (a *Acceptor) raise(v *volume) {
	if len(v.ranged) == 0 || v.ranged[0].stage != queued {
		return
	}
	r := v.ranged[0]
	m := r.msg.(message.PrepareUpload)
	v.rising = m.Ballot
	if v.inflight > 0 {
		return
	}
	a.append(r, false, Durable{
		Kind: DurableMinimum, Slot: vstack.Slot{Video: v.video}, Upload: v.upload, Ballot: m.Ballot,
	})
}

func (a *Acceptor) minimumRaised(r *request, m message.PrepareUpload, done AppendDone) {
	up, open := a.uploads[m.Upload]
	v := a.volumes[up.Video]
	if !open || v == nil || len(v.ranged) == 0 || v.ranged[0] != r {
		a.nack(r, message.Nack{Reason: vstack.ErrUploadNotLive, Detail: "the upload ended meanwhile"})
		return
	}
	waiting := v.ranged[1:]
	v.ranged = nil
	if done.Err != nil {
		a.nack(r, message.Nack{Reason: vstack.SentinelOf(done.Err), Detail: done.Err.Error()})
	} else {
		v.minimum = m.Ballot
		a.respond(r, a.uploadPromise(v, m, done.LSN))
	}
	v.rising = vstack.Ballot{}
	for _, w := range waiting {
		if w.canceled {
			delete(a.requests, w.token)
			continue
		}
		a.judge(w)
	}
}

// uploadPromise is one page of the answer to a ranged prepare. It speaks only for the
// groups that this store votes in: elsewhere its memory proves nothing.
func (a *Acceptor) uploadPromise(v *volume, m message.PrepareUpload, lsn vstack.LSN) message.UploadPromise {
	p := message.UploadPromise{Store: a.cfg.Store, LSN: lsn, Upload: m.Upload, Ballot: m.Ballot}
	for pg := range vstack.PG(vstack.PlacementGroups) {
		if g := a.groups[pg]; g.refuse() == nil {
			p.Groups = append(p.Groups, message.GroupEpoch{PG: pg, Epoch: g.epoch})
		}
	}
	var votes []message.Vote
	for at, s := range v.slots {
		where := vstack.Slot{Video: v.video, Track: at.track, Seq: at.seq}
		if !s.accepted.IsZero() && a.groups[s.pg].refuse() == nil {
			votes = append(votes, message.Vote{Slot: where, Upload: v.upload, Epoch: s.epoch, Ballot: s.accepted, Value: s.value})
		}
	}
	p.Votes, p.More = page(votes, m.After, m.Limit)
	return p
}

// page orders votes by slot and returns those after a cursor, at most limit.
func page(votes []message.Vote, after *vstack.Slot, limit int) ([]message.Vote, bool) {
	if limit <= 0 || limit > message.MaxPage {
		limit = message.MaxPage
	}
	if after != nil {
		votes = slices.DeleteFunc(votes, func(v message.Vote) bool { return message.CompareSlots(v.Slot, *after) <= 0 })
	}
	slices.SortFunc(votes, func(x, y message.Vote) int { return message.CompareSlots(x.Slot, y.Slot) })
	if len(votes) > limit {
		return votes[:limit:limit], true
	}
	return votes, false
}

// forget drops everything of a video whose upload ended: "Acceptors refuse slots of
// uploads that are not live and drop their records lazily".
func (a *Acceptor) forget(video vstack.VideoID) {
	staged := a.unstage(video)
	v := a.volumes[video]
	switch {
	case v == nil && staged.IsZero():
		return
	case v == nil:
		v = &volume{upload: staged}
	}
	for at, s := range v.slots {
		delete(a.groups[s.pg].slots, vstack.Slot{Video: video, Track: at.track, Seq: at.seq})
	}
	a.slots -= len(v.slots)
	delete(a.volumes, video)
	for _, r := range v.ranged {
		if r.stage == queued {
			a.nack(r, message.Nack{Reason: vstack.ErrUploadNotLive, Detail: "the upload ended meanwhile"})
		}
	}
	a.unasked(Durable{Kind: DurableForget, Slot: vstack.Slot{Video: video}, Upload: v.upload})
}

// unasked appends a record that nobody waits for, once it can hide nothing: until the
// echo is judged, and what it says of lost records is on its way to the log, the log's
// LSN must not rise.
func (a *Acceptor) unasked(d Durable) {
	if (a.lost || !a.echoed || a.applied < a.start) && !a.mutant.lateEcho {
		a.deferred = append(a.deferred, d)
		return
	}
	a.out = append(a.out, Append{Records: []Durable{d}})
}
