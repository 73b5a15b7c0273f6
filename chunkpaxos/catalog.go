package chunkpaxos

import (
	"fmt"
	"slices"

	"github.com/vstack/vstack/internal/vstack"
)

// Restore puts back one record that the log recovered. All of them come before the
// first Step, in any order.
func (a *Acceptor) Restore(d Durable) {
	a.high = max(a.high, d.LSN)
	switch d.Kind {
	case DurableVote:
		s := a.add(a.volume(d.Upload, d.Slot.Video), a.group(d.Slot.PG()), d.Slot)
		s.promised = maxBallot(s.promised, d.Ballot)
		if s.epoch < d.Epoch || s.epoch == d.Epoch && s.accepted.Less(d.Ballot) {
			s.accepted, s.value, s.epoch, s.lsn = d.Ballot, d.Value, d.Epoch, d.LSN
		}
	case DurablePromise:
		s := a.add(a.volume(d.Upload, d.Slot.Video), a.group(d.Slot.PG()), d.Slot)
		s.promised = maxBallot(s.promised, d.Ballot)
	case DurableMinimum:
		v := a.volume(d.Upload, d.Slot.Video)
		v.minimum = maxBallot(v.minimum, d.Ballot)
	case DurableSeal:
		g := a.group(d.PG)
		g.sealed = max(g.sealed, d.Epoch)
	case DurableAmnesia:
		g := a.group(d.PG)
		g.amnesic = max(g.amnesic, d.Epoch)
	case DurableInstall:
		a.group(d.PG).restage(d)
	case DurableForget: // the log dropped what it covers
	}
}

// catalog follows the feed.
func (a *Acceptor) catalog(c CatalogChange) {
	for _, up := range c.Uploads {
		switch {
		case up.State != vstack.UploadOpen:
			a.end(up.ID, up.Video)
		case up.Incarnation >= a.uploads[up.ID].Incarnation:
			a.uploads[up.ID], a.open[up.Video] = up, up.ID
		}
	}
	for _, video := range c.Deleted {
		a.end(a.open[video], video)
	}
	for _, c := range c.Groups {
		g := a.group(c.PG)
		if c.Epoch < g.epoch {
			continue // an older answer of the catalog
		}
		g.epoch, g.attempt, g.member = c.Epoch, c.Attempt, slices.Contains(c.Acceptors, a.cfg.Store)
		a.activate(g)
	}
	a.applied = max(a.applied, c.Applied)
	a.caughtUp()
}

// end forgets an upload that is published, aborted or deleted.
func (a *Acceptor) end(id vstack.UploadID, video vstack.VideoID) {
	delete(a.uploads, id)
	if a.open[video] == id {
		delete(a.open, video)
	}
	a.ended.add(video)
	a.forget(video)
}

// echo: "Acknowledgements carry (UUID, lsn); peers echo the highest lsn they saw; a
// store that recovers below its echo does not vote until its PGs moved epoch".
func (a *Acceptor) echo(e Echo) {
	// The first echo is older than everything that this life wrote: what the store
	// appended meanwhile, unasked, must not hide what it had lost before.
	known := a.high
	if a.echoed || a.mutant.lateEcho {
		known = max(known, e.Current)
	}
	if !a.echoed {
		a.echoed, a.start = true, e.Index
	}
	if e.LSN > known && !a.mutant.ignoreEcho {
		a.forgot(e.LSN)
	}
	a.caughtUp()
}

// forgot remembers that others saw more of this store than it recovered. Its groups
// are barred as soon as their epochs are known; until then nothing is judged.
func (a *Acceptor) forgot(echo vstack.LSN) {
	a.out = append(a.out, Alarm{
		Reason: vstack.ErrAmnesic,
		Detail: fmt.Sprintf("store %s holds records up to %d, others saw %d acknowledged", a.cfg.Store, a.high, echo),
	})
	a.high, a.lost = echo, true
	a.bar()
}

// caughtUp runs what waited for the catalog.
func (a *Acceptor) caughtUp() {
	a.bar()
	if a.echoed && a.applied >= a.start {
		for _, d := range a.deferred {
			a.out = append(a.out, Append{Records: []Durable{d}})
		}
		a.deferred = nil
	}
	a.wake()
}

// bar makes the amnesia of each group durable, in records above the echo: a restart sees by
// them what it is barred from, and not the old echo again. What a full disk refused is asked
// for again with every change of the catalog and every echo.
func (a *Acceptor) bar() {
	if !a.lost && !a.unsaved || !a.echoed || a.applied < a.start {
		return
	}
	lost := a.lost
	a.lost, a.unsaved = false, false
	var records []Durable
	for pg := range vstack.PG(vstack.PlacementGroups) {
		g := a.groups[pg]
		if g == nil {
			continue
		}
		if lost && g.member {
			g.amnesic = max(g.amnesic, g.epoch)
		}
		if lost { // pages of an install may be gone, too
			for e := range g.staged {
				g.amnesic = max(g.amnesic, e)
			}
		}
		if g.amnesic > 0 {
			records = append(records, Durable{Kind: DurableAmnesia, PG: pg, Epoch: g.amnesic})
		}
	}
	if len(records) == 0 && lost { // it bars nothing: it only settles the echo
		records = append(records, Durable{Kind: DurableAmnesia})
	}
	if len(records) > 0 {
		// Above what others saw: once the loss is on disk, a restart that recovers all since
		// has lost nothing more, and one that does not is below the echo again.
		a.out = append(a.out, Append{Records: records, Above: a.high})
	}
}
