package index

import (
	"github.com/vstack/vstack/datanode/superblock/format"
)

// Part says what of a record counts now.
type Part struct {
	Bytes bool // its data is the piece's
	State bool // what it says of the acceptor's state is current
}

// Live says what of the record h in a file counts.
func (ix *Index) Live(h *format.Header, file uint32) (p Part) {
	switch h.Kind {
	case format.KindChunk:
		p.Bytes = ix.pieceIs(h, file)
		p.State = h.Voted && ix.voteIs(h, file)
	case format.KindFragment:
		p.Bytes = ix.pieceIs(h, file)
	case format.KindVote:
		p.State = ix.voteIs(h, file)
	case format.KindPromise:
		if v := ix.videos[h.Slot.Video]; v != nil {
			e := v.slots[slotKey(h.Slot)]
			p.State = e.promise == h.LSN && e.promiseFile == file
		}
	case format.KindMinimum:
		m := ix.minimums[h.Upload]
		p.State = m.lsn == h.LSN && m.file == file
	case format.KindSeal, format.KindAmnesia, format.KindClaim:
		m := ix.groups[groupOf(h)]
		p.State = m.lsn == h.LSN && m.file == file
	case format.KindInstall:
		p.State = ix.installed(h) == place{h.LSN, file}
	}
	return p
}

func (ix *Index) pieceIs(h *format.Header, file uint32) bool {
	e, ok := ix.Piece(h.Value.Chunk, h.Piece)
	return ok && e.LSN() == h.LSN && e.File == file
}

func (ix *Index) voteIs(h *format.Header, file uint32) bool {
	v := ix.videos[h.Slot.Video]
	if v == nil {
		return false
	}
	e := v.slots[slotKey(h.Slot)]
	return e.vote == h.LSN && e.voteFile == file
}

// Move points what counts of the record h in file from at its copy in file to, at off.
func (ix *Index) Move(h *format.Header, from, to uint32, off int64) {
	src, dst := ix.usage(from), ix.usage(to)
	if h.Kind == format.KindForget || h.Kind == format.KindDrop || h.Kind == format.KindDropFragment {
		dst.Tombs += slotCost
		return
	}
	p := ix.Live(h, from)
	if p.Bytes {
		old, _ := ix.Piece(h.Value.Chunk, h.Piece)
		src.Live -= old.Shape().Len()
		dst.Live += h.Len()
		ix.shard(h.Value.Chunk).put(h.Value.Chunk, EntryOf(h, to, off))
	}
	if !p.State {
		return
	}
	src.Live -= slotCost
	dst.Live += slotCost
	switch h.Kind {
	case format.KindChunk, format.KindVote:
		v := ix.videos[h.Slot.Video]
		e := v.slots[slotKey(h.Slot)]
		e.voteFile = to
		v.slots[slotKey(h.Slot)] = e
	case format.KindPromise:
		v := ix.videos[h.Slot.Video]
		e := v.slots[slotKey(h.Slot)]
		e.promiseFile = to
		v.slots[slotKey(h.Slot)] = e
	case format.KindMinimum:
		ix.minimums[h.Upload] = stamped{ix.minimums[h.Upload].rec, h.LSN, to}
	case format.KindSeal, format.KindAmnesia, format.KindClaim:
		ix.groups[groupOf(h)] = stamped{ix.groups[groupOf(h)].rec, h.LSN, to}
	case format.KindInstall:
		ix.moveInstall(h, to)
	}
}
