package index

import (
	"maps"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// installs holds the epochs that a placement group prepared: the two newest, since the
// older one may still be in force while the newer one comes to nothing. A zero epoch is
// none.
type installs [2]attempt

// attempt is the highest attempt at one epoch: lower ones are garbage.
type attempt struct {
	epoch  vstack.Epoch
	number uint32
	done   place // says that the attempt is complete; LSN 0 is none
	staged map[stagedKey]map[uint64]place
}

// stagedKey groups staged votes by what forgets them; slotKey tells them apart in it.
type stagedKey struct {
	video  vstack.VideoID
	upload vstack.UploadID
}

// place is where a record is; LSN 0 is nowhere.
type place struct {
	lsn  vstack.LSN
	file uint32
}

func keyOf(h *format.Header) stagedKey { return stagedKey{h.Slot.Video, h.Upload} }

// attemptOf finds the attempt that a record belongs to, nil if it is not kept. With
// begin the attempt is made where it is newer than what it replaces.
func (ix *Index) attemptOf(h *format.Header, begin bool) *attempt {
	g := ix.installs[h.PG]
	if g == nil {
		if !begin {
			return nil
		}
		g = &installs{}
		ix.installs[h.PG] = g
	}
	a := &g[0]
	for i := range g {
		if g[i].epoch == h.Epoch {
			a = &g[i]
			break
		}
		if g[i].epoch < a.epoch {
			a = &g[i]
		}
	}
	known := a.epoch == h.Epoch && a.staged != nil
	switch {
	case known && a.number == h.Ballot.Round:
		return a
	case !begin, known && a.number > h.Ballot.Round, a.epoch > h.Epoch:
		return nil
	}
	ix.release(a)
	*a = attempt{epoch: h.Epoch, number: h.Ballot.Round, staged: map[stagedKey]map[uint64]place{}}
	return a
}

// release gives up the records of a superseded attempt.
func (ix *Index) release(a *attempt) {
	ix.addLive(a.done.file, -slotCost, a.done.lsn)
	for _, slots := range a.staged {
		for _, p := range slots {
			ix.addLive(p.file, -slotCost, p.lsn)
		}
	}
}

func (ix *Index) putInstall(h *format.Header, file uint32) {
	a := ix.attemptOf(h, true)
	if a == nil {
		return
	}
	old := a.at(h)
	if old.lsn >= h.LSN {
		return
	}
	ix.addLive(old.file, -slotCost, old.lsn)
	ix.usage(file).Live += slotCost
	a.set(h, place{h.LSN, file})
}

// installed is where the current record of h's staged vote or mark is.
func (ix *Index) installed(h *format.Header) place {
	if a := ix.attemptOf(h, false); a != nil {
		return a.at(h)
	}
	return place{}
}

// moveInstall notes that compaction moved the current record.
func (ix *Index) moveInstall(h *format.Header, to uint32) {
	if a := ix.attemptOf(h, false); a != nil {
		a.set(h, place{h.LSN, to})
	}
}

func (a *attempt) at(h *format.Header) place {
	if !h.Stages() {
		return a.done
	}
	return a.staged[keyOf(h)][slotKey(h.Slot)]
}

func (a *attempt) set(h *format.Header, p place) {
	if !h.Stages() {
		a.done = p
		return
	}
	slots := a.staged[keyOf(h)]
	if slots == nil {
		slots = map[uint64]place{}
		a.staged[keyOf(h)] = slots
	}
	slots[slotKey(h.Slot)] = p
}

// unstage removes an upload's staged votes that are older than lsn. Attempts and their
// marks stay: what an attempt was is not the upload's.
func (ix *Index) unstage(u vstack.UploadID, lsn vstack.LSN) {
	for _, g := range ix.installs {
		for i := range g {
			for key, slots := range g[i].staged {
				if key.upload != u {
					continue
				}
				maps.DeleteFunc(slots, func(_ uint64, p place) bool {
					if p.lsn >= lsn {
						return false
					}
					ix.addLive(p.file, -slotCost, p.lsn)
					return true
				})
				if len(slots) == 0 {
					delete(g[i].staged, key)
				}
			}
		}
	}
}
