package index

import (
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// Graves remembers removals while the files are read in no particular order.
type Graves struct {
	pieces  map[pieceKey]vstack.LSN
	slots   map[vstack.Slot]vstack.LSN
	uploads map[vstack.UploadID]vstack.LSN
}

// pieceKey names a piece of a chunk.
type pieceKey struct {
	chunk vstack.ChunkID
	piece vstack.Piece
}

func pieceOf(h *format.Header) pieceKey { return pieceKey{h.Value.Chunk, h.Piece} }

// NewGraves returns Graves that bury nothing.
func NewGraves() *Graves {
	return &Graves{map[pieceKey]vstack.LSN{}, map[vstack.Slot]vstack.LSN{}, map[vstack.UploadID]vstack.LSN{}}
}

// Add takes a tombstone in, the newest for each thing it buries.
func (g *Graves) Add(h *format.Header) bool {
	switch {
	case h.Kind == format.KindDrop, h.Kind == format.KindDropFragment:
		g.pieces[pieceOf(h)] = max(g.pieces[pieceOf(h)], h.LSN)
	case h.Kind == format.KindForget && !h.Slot.Video.IsZero():
		g.slots[h.Slot] = max(g.slots[h.Slot], h.LSN)
	case h.Kind == format.KindForget:
		g.uploads[h.Upload] = max(g.uploads[h.Upload], h.LSN)
	default:
		return false
	}
	return true
}

// Mark notes the tombstones that bury the record h.
func (g *Graves) Mark(h *format.Header, needed map[vstack.LSN]bool) {
	note := func(lsn vstack.LSN) {
		if lsn > h.LSN {
			needed[lsn] = true
		}
	}
	switch h.Kind {
	case format.KindChunk:
		note(g.pieces[pieceOf(h)])
	case format.KindFragment: // its slot is where it was wanted, and says nothing of votes
		note(g.pieces[pieceOf(h)])
		return
	case format.KindForget, format.KindDrop, format.KindDropFragment, format.KindSeal, format.KindAmnesia, format.KindClaim:
		return
	case format.KindInstall: // outlives the slot's vote, but not the upload
		note(g.uploads[h.Upload])
		return
	}
	note(g.slots[h.Slot])
	note(g.uploads[h.Upload])
}

func (ix *Index) drop(h *format.Header) {
	if ix.graves != nil {
		ix.graves.Add(h)
		return
	}
	ix.removePiece(pieceOf(h), h.LSN)
}

// removePiece removes a piece whose record is older than lsn.
func (ix *Index) removePiece(key pieceKey, lsn vstack.LSN) {
	if e, ok := ix.Piece(key.chunk, key.piece); ok && e.LSN() < lsn {
		ix.uncount(e)
		ix.shard(key.chunk).remove(key.chunk, key.piece)
	}
}

func (ix *Index) forget(h *format.Header) {
	switch {
	case ix.graves != nil && !h.Slot.Video.IsZero():
		ix.graves.slots[h.Slot] = max(ix.graves.slots[h.Slot], h.LSN)
	case ix.graves != nil:
		ix.graves.uploads[h.Upload] = max(ix.graves.uploads[h.Upload], h.LSN)
	case !h.Slot.Video.IsZero():
		ix.forgetSlot(h.Slot, h.LSN)
	default:
		ix.forgetUpload(h.Upload, h.LSN)
	}
}

// Settle ends recovery: removals take effect, whatever order they were read in.
func (ix *Index) Settle() {
	g := ix.graves
	ix.graves = nil
	for key, lsn := range g.pieces {
		ix.removePiece(key, lsn)
	}
	for slot, lsn := range g.slots {
		ix.forgetSlot(slot, lsn)
	}
	for upload, lsn := range g.uploads {
		ix.forgetUpload(upload, lsn)
	}
}
