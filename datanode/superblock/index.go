package superblock

import (
	"fmt"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// index is what of the log counts now. For every key the record with the highest LSN
// wins, so files may be read in any order and a record may be there twice.
type index struct {
	mu       sync.RWMutex
	shards   [256]map[vstack.ChunkID]chunkEntry // by first byte, so that an ordered page sorts little
	chunks   int
	bytes    int64 // of live chunks
	bad      int
	videos   map[vstack.VideoID]*videoVotes
	slots    int
	minimums map[vstack.UploadID]stamped
	seals    map[vstack.PG]stamped
	files    map[uint32]*superblock
	graves   *graves // while recovering; nil afterwards
}

// chunkEntry says where a chunk's bytes are: 24 bytes beside a key of 32.
type chunkEntry struct {
	lsn  vstack.LSN
	file uint32
	off  uint32 // in units of recordAlign
	size uint32 // top bit: bad
}

const badBit = 1 << 31

func (e chunkEntry) bytes() uint32 { return e.size &^ badBit }
func (e chunkEntry) isBad() bool   { return e.size&badBit != 0 }
func (e chunkEntry) offset() int64 { return int64(e.off) * recordAlign }

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

// stamped is a record kept whole, of which there are few.
type stamped struct {
	rec  Record
	lsn  vstack.LSN
	file uint32
}

// graves remembers removals while the files are read in no particular order.
type graves struct {
	chunks  map[vstack.ChunkID]vstack.LSN
	slots   map[vstack.Slot]vstack.LSN
	uploads map[vstack.UploadID]vstack.LSN
}

// slotCost is what a live vote, promise, minimum or seal counts for in its file.
const slotCost = fixedLen + recordAlign/2

func newIndex() *index {
	ix := &index{
		videos:   map[vstack.VideoID]*videoVotes{},
		minimums: map[vstack.UploadID]stamped{}, seals: map[vstack.PG]stamped{}, files: map[uint32]*superblock{},
		graves: &graves{map[vstack.ChunkID]vstack.LSN{}, map[vstack.Slot]vstack.LSN{}, map[vstack.UploadID]vstack.LSN{}},
	}
	for i := range ix.shards {
		ix.shards[i] = map[vstack.ChunkID]chunkEntry{}
	}
	return ix
}

func slotKey(s vstack.Slot) uint64 { return uint64(s.Track)<<32 | uint64(s.Seq) }

// apply takes a durable record in. The caller holds mu.
func (ix *index) apply(h *header, b *superblock, off int64) {
	switch h.Kind {
	case KindChunk:
		ix.putChunk(h, b, off)
		if h.Voted {
			ix.putVote(h, b)
		}
	case KindVote:
		ix.putVote(h, b)
	case KindPromise:
		ix.putPromise(h, b)
	case KindMinimum:
		if ix.stamp(ix.minimums[h.Upload], h, b) {
			ix.minimums[h.Upload] = stamped{h.Record, h.lsn, b.id}
		}
	case KindSeal:
		if ix.stamp(ix.seals[h.PG], h, b) {
			ix.seals[h.PG] = stamped{h.Record, h.lsn, b.id}
		}
	case KindForget:
		b.tombs += slotCost
		ix.forget(h)
	case KindDrop:
		b.tombs += slotCost
		ix.drop(h)
	}
}

// stamp decides between a stamped record and a newer one, and moves the live bytes.
func (ix *index) stamp(old stamped, h *header, b *superblock) bool {
	if old.lsn >= h.lsn {
		return false
	}
	ix.addLive(old.file, -slotCost, old.lsn)
	b.live += slotCost
	return true
}

// addLive changes a file's live bytes, if lsn says that there was a record.
func (ix *index) addLive(file uint32, bytes int64, lsn vstack.LSN) {
	if b := ix.files[file]; lsn != 0 && b != nil {
		b.live += bytes
	}
}

func (ix *index) putChunk(h *header, b *superblock, off int64) {
	shard := ix.shards[h.Value.Chunk[0]]
	old, ok := shard[h.Value.Chunk]
	if ok && old.lsn >= h.lsn {
		return
	}
	if ok {
		ix.uncount(old)
	}
	shard[h.Value.Chunk] = chunkEntry{lsn: h.lsn, file: b.id, off: uint32(off / recordAlign), size: h.dataLen}
	b.live += recordLen(h.dataLen)
	ix.chunks++
	ix.bytes += int64(h.dataLen)
}

// uncount takes a chunk's entry out of all sums.
func (ix *index) uncount(e chunkEntry) {
	ix.addLive(e.file, -recordLen(e.bytes()), e.lsn)
	ix.chunks--
	ix.bytes -= int64(e.bytes())
	if e.isBad() {
		ix.bad--
	}
}

// votesOf returns the slots of a video, made if absent.
func (ix *index) votesOf(v vstack.VideoID) *videoVotes {
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

func (ix *index) putVote(h *header, b *superblock) {
	v := ix.votesOf(h.Slot.Video)
	key := slotKey(h.Slot)
	e, ok := v.slots[key]
	if !ok {
		ix.slots++
	}
	if e.vote < h.lsn {
		ix.addLive(e.voteFile, -slotCost, e.vote)
		b.live += slotCost
		e.vote, e.voteFile, e.voteUpload = h.lsn, b.id, v.uploadIndex(h.Upload)
		v.slots[key] = e
	}
}

func (ix *index) putPromise(h *header, b *superblock) {
	v := ix.votesOf(h.Slot.Video)
	key := slotKey(h.Slot)
	e, ok := v.slots[key]
	if !ok {
		ix.slots++
	}
	if e.promise < h.lsn {
		ix.addLive(e.promiseFile, -slotCost, e.promise)
		b.live += slotCost
		e.promise, e.promiseFile, e.promiseUpload = h.lsn, b.id, v.uploadIndex(h.Upload)
		v.slots[key] = e
	}
}

func (ix *index) drop(h *header) {
	if ix.graves != nil {
		ix.graves.chunks[h.Value.Chunk] = max(ix.graves.chunks[h.Value.Chunk], h.lsn)
		return
	}
	ix.removeChunk(h.Value.Chunk, h.lsn)
}

// removeChunk removes a chunk whose record is older than lsn.
func (ix *index) removeChunk(id vstack.ChunkID, lsn vstack.LSN) {
	shard := ix.shards[id[0]]
	if e, ok := shard[id]; ok && e.lsn < lsn {
		ix.uncount(e)
		delete(shard, id)
	}
}

func (ix *index) forget(h *header) {
	switch {
	case ix.graves != nil && !h.Slot.Video.IsZero():
		ix.graves.slots[h.Slot] = max(ix.graves.slots[h.Slot], h.lsn)
	case ix.graves != nil:
		ix.graves.uploads[h.Upload] = max(ix.graves.uploads[h.Upload], h.lsn)
	case !h.Slot.Video.IsZero():
		ix.forgetSlot(h.Slot, h.lsn)
	default:
		ix.forgetUpload(h.Upload, h.lsn)
	}
}

func (ix *index) forgetSlot(s vstack.Slot, lsn vstack.LSN) {
	if v := ix.videos[s.Video]; v != nil {
		ix.trimSlot(s.Video, v, slotKey(s), lsn, lsn)
	}
}

// trimSlot removes a slot's vote older than vote and promise older than promise.
func (ix *index) trimSlot(id vstack.VideoID, v *videoVotes, key uint64, vote, promise vstack.LSN) {
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

// forgetUpload removes an upload's minimum and what its slots hold under it. Videos
// are few beside slots, so finding the upload's video by looking at each is cheap.
func (ix *index) forgetUpload(u vstack.UploadID, lsn vstack.LSN) {
	if m, ok := ix.minimums[u]; ok && m.lsn < lsn {
		ix.addLive(m.file, -slotCost, m.lsn)
		delete(ix.minimums, u)
	}
	for id, v := range ix.videos {
		for i, have := range v.uploads {
			if have == u {
				ix.forgetUploadIn(id, v, uint32(i), lsn)
			}
		}
	}
}

func (ix *index) forgetUploadIn(id vstack.VideoID, v *videoVotes, upload uint32, lsn vstack.LSN) {
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

// settle ends recovery: removals take effect, whatever order they were read in.
func (ix *index) settle() {
	g := ix.graves
	ix.graves = nil
	for id, lsn := range g.chunks {
		ix.removeChunk(id, lsn)
	}
	for slot, lsn := range g.slots {
		ix.forgetSlot(slot, lsn)
	}
	for upload, lsn := range g.uploads {
		ix.forgetUpload(upload, lsn)
	}
}

// part says what of a record counts now.
type part struct {
	bytes bool // its data is the chunk's
	state bool // its vote, promise, minimum or seal is the current one
}

// liveIn says what of the record at h in file b counts. The caller holds mu.
func (ix *index) liveIn(h *header, b *superblock) (p part) {
	switch h.Kind {
	case KindChunk:
		e, ok := ix.shards[h.Value.Chunk[0]][h.Value.Chunk]
		p.bytes = ok && e.lsn == h.lsn && e.file == b.id
		p.state = h.Voted && ix.voteIs(h, b)
	case KindVote:
		p.state = ix.voteIs(h, b)
	case KindPromise:
		if v := ix.videos[h.Slot.Video]; v != nil {
			e := v.slots[slotKey(h.Slot)]
			p.state = e.promise == h.lsn && e.promiseFile == b.id
		}
	case KindMinimum:
		m := ix.minimums[h.Upload]
		p.state = m.lsn == h.lsn && m.file == b.id
	case KindSeal:
		m := ix.seals[h.PG]
		p.state = m.lsn == h.lsn && m.file == b.id
	}
	return p
}

func (ix *index) voteIs(h *header, b *superblock) bool {
	v := ix.videos[h.Slot.Video]
	if v == nil {
		return false
	}
	e := v.slots[slotKey(h.Slot)]
	return e.vote == h.lsn && e.voteFile == b.id
}

// move points what counts of the record h in file from at its copy in file to.
func (ix *index) move(h *header, from uint32, to *superblock, off int64) {
	src := ix.files[from]
	if src == nil {
		return
	}
	if h.Kind == KindForget || h.Kind == KindDrop {
		to.tombs += slotCost
		return
	}
	p := ix.liveIn(h, src)
	if p.bytes {
		shard := ix.shards[h.Value.Chunk[0]]
		e := shard[h.Value.Chunk]
		e.file, e.off = to.id, uint32(off/recordAlign)
		shard[h.Value.Chunk] = e
		src.live -= recordLen(h.dataLen)
		to.live += recordLen(h.dataLen)
	}
	if !p.state {
		return
	}
	src.live -= slotCost
	to.live += slotCost
	switch h.Kind {
	case KindChunk, KindVote:
		v := ix.videos[h.Slot.Video]
		e := v.slots[slotKey(h.Slot)]
		e.voteFile = to.id
		v.slots[slotKey(h.Slot)] = e
	case KindPromise:
		v := ix.videos[h.Slot.Video]
		e := v.slots[slotKey(h.Slot)]
		e.promiseFile = to.id
		v.slots[slotKey(h.Slot)] = e
	case KindMinimum:
		ix.minimums[h.Upload] = stamped{ix.minimums[h.Upload].rec, h.lsn, to.id}
	case KindSeal:
		ix.seals[h.PG] = stamped{ix.seals[h.PG].rec, h.lsn, to.id}
	}
}

// hasBytes reports whether a chunk is here and not known to be bad. The caller holds mu.
func (ix *index) hasBytes(id vstack.ChunkID) bool {
	e, ok := ix.shards[id[0]][id]
	return ok && !e.isBad()
}

// fileOf takes a reference to a file that the index points at. The caller holds mu.
func (ix *index) fileOf(id uint32) (*superblock, error) {
	b := ix.files[id]
	if b == nil {
		return nil, fmt.Errorf("superblock %s: %w", fileName(id), vstack.ErrInternal)
	}
	return b.acquire(), nil
}
