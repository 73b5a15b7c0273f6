package chunkpaxos

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// staging is one attempt to install an epoch; it votes only once it is activated.
// A later attempt of the same epoch replaces it. The staging of the epoch in force
// stays until the next one is in force: an attempt at the next may come to nothing.
type staging struct {
	attempt  uint32
	complete bool
	votes    map[vstack.Slot]message.Vote // nil once they are in force
}

// stage returns the staging of an attempt, begun if it is newer than what there is.
func (g *group) stage(e vstack.Epoch, attempt uint32) *staging {
	st := g.staged[e]
	if st == nil || st.attempt < attempt {
		st = &staging{attempt: attempt, votes: make(map[vstack.Slot]message.Vote)}
		g.staged[e] = st
		g.prune()
	}
	return st
}

// prune keeps the newest two epochs, and none that is over.
func (g *group) prune() {
	var newest vstack.Epoch
	for e := range g.staged {
		newest = max(newest, e)
	}
	maps.DeleteFunc(g.staged, func(e vstack.Epoch, _ *staging) bool { return e < g.epoch || e+1 < newest })
}

// onInstall: "Install the highest-ballot values, re-stamped at the lowest ballot of
// e+1, on a majority of the new acceptors, bytes first".
func (a *Acceptor) onInstall(r *request, m message.Install) {
	g := a.group(m.PG)
	if nack := a.refuseInstall(g, m); nack != nil {
		nack.Epoch = g.epoch
		a.nack(r, *nack)
		return
	}
	if st := g.staged[m.Epoch]; st != nil && st.attempt == m.Attempt && st.complete { // a repeat
		a.respond(r, message.Installed{Store: a.cfg.Store, PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt, Final: true})
		return
	}
	// What has ended since the seal is not carried on, and its bytes may be gone.
	m.Votes = slices.DeleteFunc(slices.Clone(m.Votes), func(v message.Vote) bool { return a.ended.has(v.Slot.Video) })
	if len(m.Votes) > 0 && !r.stored {
		r.stage = fetching
		values := make([]vstack.Value, len(m.Votes))
		for i, v := range m.Votes {
			values[i] = v.Value
		}
		a.out = append(a.out, FetchBytes{Token: r.token, Slot: m.Votes[0].Slot, Values: values, Store: true})
		return
	}
	// The first page may come again, late: it begins an attempt, it never empties one.
	if a.mutant.firstResets && m.First {
		delete(g.staged, m.Epoch)
	}
	g.stage(m.Epoch, m.Attempt)
	records := make([]Durable, 0, len(m.Votes)+1)
	for _, v := range m.Votes {
		records = append(records, Durable{
			Kind: DurableInstall, Slot: v.Slot, PG: m.PG, Epoch: m.Epoch, Upload: v.Upload,
			Ballot: message.InstallBallot(m.Attempt), Value: v.Value,
		})
	}
	if m.Final {
		records = append(records, Durable{Kind: DurableInstall, PG: m.PG, Epoch: m.Epoch, Ballot: message.InstallBallot(m.Attempt)})
	}
	if len(records) == 0 {
		a.respond(r, message.Installed{Store: a.cfg.Store, PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt})
		return
	}
	a.append(r, false, records...)
}

func (a *Acceptor) refuseInstall(g *group, m message.Install) *message.Nack {
	if m.Attempt == 0 || len(m.Votes) > message.MaxPage {
		return &message.Nack{Reason: vstack.ErrInvalid, Detail: fmt.Sprintf("install attempt %d with %d votes", m.Attempt, len(m.Votes))}
	}
	for _, v := range m.Votes {
		if v.Slot.PG() != m.PG || v.Value.Chunk.IsZero() || v.Value.Size == 0 || v.Value.Size > vstack.MaxChunkSize {
			return &message.Nack{Reason: vstack.ErrInvalid, Detail: fmt.Sprintf("slot %s with %d bytes is not for placement group %d", v.Slot, v.Value.Size, m.PG)}
		}
	}
	st := g.staged[m.Epoch]
	switch {
	case m.Epoch < g.epoch || m.Epoch == g.epoch && g.attempt != m.Attempt:
		return &message.Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("install of epoch %d attempt %d, placement group %d is at %d", m.Epoch, m.Attempt, m.PG, g.epoch)}
	case m.Epoch <= g.amnesic:
		return &message.Nack{Reason: vstack.ErrAmnesic, Detail: fmt.Sprintf("placement group %d up to epoch %d", g.pg, g.amnesic)}
	case st != nil && m.Attempt < st.attempt:
		return &message.Nack{Reason: vstack.ErrEpochStale, Detail: fmt.Sprintf("attempt %d of epoch %d came before", st.attempt, m.Epoch)}
	case !m.First && (st == nil || st.attempt != m.Attempt):
		return &message.Nack{Reason: vstack.ErrInvalid, Detail: "the first page is missing"}
	}
	return nil
}

func (a *Acceptor) installed(r *request, m message.Install, done AppendDone) {
	g := a.groups[m.PG]
	st := g.staged[m.Epoch]
	switch {
	case done.Err != nil:
		a.nack(r, message.Nack{Reason: vstack.SentinelOf(done.Err), Detail: done.Err.Error(), Epoch: g.epoch})
		return
	case m.Epoch <= g.amnesic:
		a.nack(r, message.Nack{Reason: vstack.ErrAmnesic, Detail: "records were lost meanwhile", Epoch: g.epoch})
		return
	case st == nil || st.attempt != m.Attempt:
		a.nack(r, message.Nack{Reason: vstack.ErrEpochStale, Detail: "another attempt began meanwhile", Epoch: g.epoch})
		return
	}
	for _, v := range m.Votes {
		if st.votes != nil && !a.ended.has(v.Slot.Video) {
			st.votes[v.Slot] = message.Vote{Slot: v.Slot, Upload: v.Upload, Epoch: m.Epoch, Ballot: message.InstallBallot(m.Attempt), Value: v.Value}
		}
	}
	a.forgetEnded(r.records)
	st.complete = st.complete || m.Final
	a.activate(g)
	a.respond(r, message.Installed{Store: a.cfg.Store, LSN: done.LSN, PG: m.PG, Epoch: m.Epoch, Attempt: m.Attempt, Final: m.Final})
}

// forgetEnded has the log forget staged votes whose upload ended while they were being
// appended: nobody is told of its end again.
func (a *Acceptor) forgetEnded(records []Durable) {
	var last vstack.VideoID
	for _, d := range records { // ordered by slot, so those of a video follow each other
		if at := d.Slot.Video; at != last && a.ended.has(at) {
			last = at
			a.unasked(Durable{Kind: DurableForget, Slot: vstack.Slot{Video: at}, Upload: d.Upload})
		}
	}
}

// activate puts a complete attempt in force, if the catalog named it: votes of older
// epochs go, what was voted in this one since stays. An upload that the catalog has
// not told of yet keeps its votes: the page that tells of it may come after this one.
func (a *Acceptor) activate(g *group) {
	g.prune()
	st := g.staged[g.epoch]
	if g.attempt == 0 || g.installed == g.epoch || st == nil || !st.complete || st.attempt != g.attempt {
		return
	}
	for _, s := range g.slots {
		if s.epoch < g.epoch {
			s.accepted, s.value, s.epoch, s.lsn = vstack.Ballot{}, vstack.Value{}, 0, 0
		}
	}
	where := make([]vstack.Slot, 0, len(st.votes))
	for s := range st.votes {
		where = append(where, s)
	}
	slices.SortFunc(where, message.CompareSlots)
	for _, at := range where {
		vote := st.votes[at]
		if a.mutant.skipUnknown && a.open[at.Video] != vote.Upload {
			continue
		}
		if s := a.add(a.volume(vote.Upload, at.Video), g, at); s.epoch < g.epoch {
			s.accepted, s.value, s.epoch = vote.Ballot, vote.Value, vote.Epoch
		}
	}
	g.installed, st.votes = g.epoch, nil
}

// unstage drops the staged votes of a video whose upload ended, and returns the upload
// if there were any.
func (a *Acceptor) unstage(video vstack.VideoID) (id vstack.UploadID) {
	for _, g := range a.groups {
		for _, st := range g.staged {
			maps.DeleteFunc(st.votes, func(at vstack.Slot, v message.Vote) bool {
				if at.Video == video {
					id = v.Upload
				}
				return at.Video == video
			})
		}
	}
	return id
}

// restage puts one staged vote, or the completion of an attempt, back.
func (g *group) restage(d Durable) {
	if st := g.staged[d.Epoch]; st != nil && d.Ballot.Round < st.attempt {
		return
	}
	st := g.stage(d.Epoch, d.Ballot.Round)
	if d.Slot.Video.IsZero() {
		st.complete = true
		return
	}
	st.votes[d.Slot] = message.Vote{Slot: d.Slot, Upload: d.Upload, Epoch: d.Epoch, Ballot: d.Ballot, Value: d.Value}
}

// maxEnded is how many ended uploads are remembered. One that ended before an install
// brings its votes is never told again; forgetting it costs the memory of its slots
// until the next start.
const maxEnded = 4096

// endedVideos remembers the last maxEnded videos whose upload ended.
type endedVideos struct {
	set  map[vstack.VideoID]bool
	ring []vstack.VideoID
	next int
}

func (e *endedVideos) has(id vstack.VideoID) bool { return e.set[id] }

func (e *endedVideos) add(id vstack.VideoID) {
	switch {
	case e.set[id]:
		return
	case e.set == nil:
		e.set = make(map[vstack.VideoID]bool)
	}
	if len(e.ring) < maxEnded {
		e.ring = append(e.ring, id)
	} else {
		delete(e.set, e.ring[e.next])
		e.ring[e.next] = id
		e.next = (e.next + 1) % maxEnded
	}
	e.set[id] = true
}
