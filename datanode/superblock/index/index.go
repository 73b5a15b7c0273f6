package index

import (
	"hash/maphash"
	"sync"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/vstack"
)

// Index is what of the log counts now. For every key the record with the highest LSN
// wins, so files may be read in any order and a record may be there twice.
//
// Its lock is the caller's to take: shared for what only looks, exclusive for the rest.
type Index struct {
	sync.RWMutex

	shards   [Shards]table // by first byte, so that an ordered page sorts little
	pieces   [2]sums       // of whole chunks, of fragments
	videos   map[vstack.VideoID]*videoVotes
	slots    int
	minimums map[vstack.UploadID]stamped
	groups   map[groupKey]stamped
	installs map[vstack.PG]*installs
	files    map[uint32]*Usage
	graves   *Graves // while recovering; nil afterwards
}

// sums are of the live pieces of a kind.
type sums struct {
	count, bad int
	bytes      int64
}

// stamped is a record kept whole, of which there are few.
type stamped struct {
	rec  format.Record
	lsn  vstack.LSN
	file uint32
}

// groupKey names a record of which a placement group has one of each kind.
type groupKey struct {
	kind format.Kind
	pg   vstack.PG
}

func groupOf(h *format.Header) groupKey { return groupKey{h.Kind, h.PG} }

// Group is a placement group's record of a kind: KindSeal, KindAmnesia or KindClaim.
func (ix *Index) Group(kind format.Kind, pg vstack.PG) (format.Record, bool) {
	s, ok := ix.groups[groupKey{kind, pg}]
	return s.rec, ok
}

// slotCost is what a live record without data counts for in its file.
const slotCost = format.MaxFixedLen

// New returns an empty index that is recovering: Settle ends that.
func New() *Index {
	ix := &Index{
		videos:   map[vstack.VideoID]*videoVotes{},
		minimums: map[vstack.UploadID]stamped{}, groups: map[groupKey]stamped{},
		installs: map[vstack.PG]*installs{}, files: map[uint32]*Usage{},
		graves: NewGraves(),
	}
	seed := maphash.MakeSeed() // so that nobody can make chunks that lie in each other's way
	for i := range ix.shards {
		ix.shards[i].seed = seed
	}
	return ix
}

// Apply takes in a durable record of a file, at off.
func (ix *Index) Apply(h *format.Header, file uint32, off int64) {
	switch h.Kind {
	case format.KindChunk:
		ix.putPiece(h, file, off)
		if h.Voted {
			ix.putVote(h, file)
		}
	case format.KindFragment:
		ix.putPiece(h, file, off)
	case format.KindVote:
		ix.putVote(h, file)
	case format.KindPromise:
		ix.putPromise(h, file)
	case format.KindMinimum:
		if ix.stamp(ix.minimums[h.Upload], h, file) {
			ix.minimums[h.Upload] = stamped{h.Record, h.LSN, file}
		}
	case format.KindSeal, format.KindAmnesia, format.KindClaim:
		if key := groupOf(h); ix.stamp(ix.groups[key], h, file) {
			ix.groups[key] = stamped{h.Record, h.LSN, file}
		}
	case format.KindInstall:
		ix.putInstall(h, file)
	case format.KindForget:
		ix.usage(file).Tombs += slotCost
		ix.forget(h)
	case format.KindDrop, format.KindDropFragment:
		ix.usage(file).Tombs += slotCost
		ix.drop(h)
	}
}

// stamp decides between a stamped record and a newer one, and moves the live bytes.
func (ix *Index) stamp(old stamped, h *format.Header, file uint32) bool {
	if old.lsn >= h.LSN {
		return false
	}
	ix.addLive(old.file, -slotCost, old.lsn)
	ix.usage(file).Live += slotCost
	return true
}

// addLive changes a file's live bytes, if lsn says that there was a record.
func (ix *Index) addLive(file uint32, bytes int64, lsn vstack.LSN) {
	if u := ix.files[file]; lsn != 0 && u != nil {
		u.Live += bytes
	}
}

func (ix *Index) putPiece(h *format.Header, file uint32, off int64) {
	shard := ix.shard(h.Value.Chunk)
	old, ok := shard.get(h.Value.Chunk, h.Piece)
	if ok && old.LSN() >= h.LSN {
		return
	}
	if ok {
		ix.uncount(old)
	}
	shard.put(h.Value.Chunk, EntryOf(h, file, off))
	ix.usage(file).Live += h.Len()
	sums := ix.sumsOf(h.Piece)
	sums.count++
	sums.bytes += int64(h.DataLen)
}

// uncount takes a piece's entry out of all sums.
func (ix *Index) uncount(e Entry) {
	ix.addLive(e.File, -e.Shape().Len(), e.LSN())
	sums := ix.sumsOf(e.Piece())
	sums.count--
	sums.bytes -= int64(e.DataLen())
	if e.Bad() {
		sums.bad--
	}
}

func (ix *Index) shard(id vstack.ChunkID) *table { return &ix.shards[id[0]] }

func (ix *Index) sumsOf(p vstack.Piece) *sums {
	if p.IsChunk() {
		return &ix.pieces[0]
	}
	return &ix.pieces[1]
}

// usage is a file's sums, made if absent.
func (ix *Index) usage(file uint32) *Usage {
	u := ix.files[file]
	if u == nil {
		u = &Usage{}
		ix.files[file] = u
	}
	return u
}

// Usage is how many bytes of a file count.
type Usage struct {
	Live  int64 // pieces and records of state
	Tombs int64 // tombstones, needed or not
}

// Usage returns a file's sums.
func (ix *Index) Usage(file uint32) Usage {
	if u := ix.files[file]; u != nil {
		return *u
	}
	return Usage{}
}

// Remove forgets a file in which nothing counts.
func (ix *Index) Remove(file uint32) { delete(ix.files, file) }

// Totals sums up.
type Totals struct {
	Chunks, Bad   int
	Bytes         int64 // of live chunks
	Fragments     int
	BadFragments  int
	FragmentBytes int64
	Slots         int // with a vote or promise
}

func (ix *Index) Totals() Totals {
	c, f := ix.pieces[0], ix.pieces[1]
	return Totals{Chunks: c.count, Bad: c.bad, Bytes: c.bytes, Fragments: f.count, BadFragments: f.bad, FragmentBytes: f.bytes, Slots: ix.slots}
}

// Chunk looks a whole chunk up.
func (ix *Index) Chunk(id vstack.ChunkID) (Entry, bool) { return ix.Piece(id, vstack.Piece{}) }

// Piece looks a piece of a chunk up.
func (ix *Index) Piece(id vstack.ChunkID, p vstack.Piece) (Entry, bool) {
	return ix.shard(id).get(id, p)
}

// Pieces calls visit with every piece of a chunk, in no particular order.
func (ix *Index) Pieces(id vstack.ChunkID, visit func(Entry)) { ix.shard(id).each(id, visit) }

// MarkBad marks a piece as bad if it is still what e says, and was not bad before.
func (ix *Index) MarkBad(id vstack.ChunkID, e Entry) bool {
	now, ok := ix.Piece(id, e.Piece())
	e.flags |= now.flags & doubtBit // which whoever read the record does not know
	if !ok || now != e || e.Bad() {
		return false
	}
	e.flags |= badBit
	ix.shard(id).put(id, e)
	ix.sumsOf(e.Piece()).bad++
	return true
}

// DoubtLeaves marks a piece's leaf table as wrong, if it is still what e says, until the
// record is written anew.
func (ix *Index) DoubtLeaves(id vstack.ChunkID, e Entry) bool {
	now, ok := ix.Piece(id, e.Piece())
	if !ok || now != e || !e.HasLeaves() {
		return false
	}
	e.flags |= doubtBit
	ix.shard(id).put(id, e)
	return true
}

// Shards is the number of parts that Page takes one of.
const Shards = 256

// Page calls visit with every piece of the chunks of one shard behind after, in order of
// the chunks' ids; all ids of a shard are below those of the next.
func (ix *Index) Page(shard int, after vstack.ChunkID, visit func(vstack.ChunkID, Entry)) {
	ix.shards[shard].page(after, visit)
}
