package index

import (
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// videoVotes holds the slots of one video; slots are keyed by track<<32 | seq.
type videoVotes struct {
	slots   map[uint64]slotEntry
	uploads []vstack.UploadID // what slotEntry counts in; nearly always one
}

// slotEntry says which records hold a slot's vote and promise; LSN 0 is none.
type slotEntry struct {
	vote, promise             vstack.LSN
	voteFile, promiseFile     uint32
	voteUpload, promiseUpload uint32
}

func slotKey(s vstack.Slot) uint64 { return uint64(s.Track)<<32 | uint64(s.Seq) }

// votesOf returns the slots of a video, made if absent.
func (ix *Index) votesOf(v vstack.VideoID) *videoVotes {
	votes := ix.videos[v]
	if votes == nil {
		votes = &videoVotes{slots: map[uint64]slotEntry{}}
		ix.videos[v] = votes
	}
	return votes
}

// uploadIndex interns an upload.
func (v *videoVotes) uploadIndex(u vstack.UploadID) uint32 {
	for i, have := range v.uploads {
		if have == u {
			return uint32(i)
		}
	}
	v.uploads = append(v.uploads, u)
	return uint32(len(v.uploads) - 1)
}

func (ix *Index) putVote(h *format.Header, file uint32) {
	v := ix.votesOf(h.Slot.Video)
	key := slotKey(h.Slot)
	e, ok := v.slots[key]
	if !ok {
		ix.slots++
	}
	if e.vote < h.LSN {
		ix.addLive(e.voteFile, -slotCost, e.vote)
		ix.usage(file).Live += slotCost
		e.vote, e.voteFile, e.voteUpload = h.LSN, file, v.uploadIndex(h.Upload)
		v.slots[key] = e
	}
}

func (ix *Index) putPromise(h *format.Header, file uint32) {
	v := ix.votesOf(h.Slot.Video)
	key := slotKey(h.Slot)
	e, ok := v.slots[key]
	if !ok {
		ix.slots++
	}
	if e.promise < h.LSN {
		ix.addLive(e.promiseFile, -slotCost, e.promise)
		ix.usage(file).Live += slotCost
		e.promise, e.promiseFile, e.promiseUpload = h.LSN, file, v.uploadIndex(h.Upload)
		v.slots[key] = e
	}
}

func (ix *Index) forgetSlot(s vstack.Slot, lsn vstack.LSN) {
	if v := ix.videos[s.Video]; v != nil {
		ix.trimSlot(s.Video, v, slotKey(s), lsn, lsn)
	}
}

// trimSlot removes a slot's vote older than vote and promise older than promise.
func (ix *Index) trimSlot(id vstack.VideoID, v *videoVotes, key uint64, vote, promise vstack.LSN) {
	e, ok := v.slots[key]
	if !ok {
		return
	}
	if e.vote < vote {
		ix.addLive(e.voteFile, -slotCost, e.vote)
		e.vote = 0
	}
	if e.promise < promise {
		ix.addLive(e.promiseFile, -slotCost, e.promise)
		e.promise = 0
	}
	if e.vote != 0 || e.promise != 0 {
		v.slots[key] = e
		return
	}
	delete(v.slots, key)
	ix.slots--
	if len(v.slots) == 0 {
		delete(ix.videos, id)
	}
}

// forgetUpload removes an upload's minimum, its staged votes and what its slots hold
// under it. Videos are few beside slots, so finding the upload's video by looking at
// each is cheap.
func (ix *Index) forgetUpload(u vstack.UploadID, lsn vstack.LSN) {
	if m, ok := ix.minimums[u]; ok && m.lsn < lsn {
		ix.addLive(m.file, -slotCost, m.lsn)
		delete(ix.minimums, u)
	}
	ix.unstage(u, lsn)
	for id, v := range ix.videos {
		for i, have := range v.uploads {
			if have == u {
				ix.forgetUploadIn(id, v, uint32(i), lsn)
			}
		}
	}
}

func (ix *Index) forgetUploadIn(id vstack.VideoID, v *videoVotes, upload uint32, lsn vstack.LSN) {
	for key, e := range v.slots {
		var vote, promise vstack.LSN
		if e.voteUpload == upload {
			vote = lsn
		}
		if e.promiseUpload == upload {
			promise = lsn
		}
		ix.trimSlot(id, v, key, vote, promise)
	}
}
