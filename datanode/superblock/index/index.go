package index

import (
	"slices"
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

	shards   [Shards]map[vstack.ChunkID]Entry // by first byte, so that an ordered page sorts little
	chunks   int
	bytes    int64 // of live chunks
	bad      int
	videos   map[vstack.VideoID]*videoVotes
	slots    int
	minimums map[vstack.UploadID]stamped
	groups   map[groupKey]stamped
	installs map[vstack.PG]*installs
	files    map[uint32]*Usage
	graves   *Graves // while recovering; nil afterwards
}

// Entry says where a chunk's bytes are: 20 bytes beside a key of 32.
type Entry struct {
	lsn  [2]uint32 // low, high: a uint64 would pad the entry to 24 bytes
	File uint32
	off  uint32 // in units of format.RecordAlign
	size uint32 // top bit: bad
}

const badBit = 1 << 31

// NewEntry describes a record at off with size bytes of data.
func NewEntry(lsn vstack.LSN, file uint32, off int64, size uint32) Entry {
	return Entry{lsn: [2]uint32{uint32(lsn), uint32(lsn >> 32)}, File: file, off: uint32(off / format.RecordAlign), size: size}
}

// LSN is the record's.
func (e Entry) LSN() vstack.LSN { return vstack.LSN(e.lsn[0]) | vstack.LSN(e.lsn[1])<<32 }

// Size is the chunk's, in bytes.
func (e Entry) Size() uint32 { return e.size &^ badBit }

// Bad reports whether the bytes are known to fail their checksum.
func (e Entry) Bad() bool { return e.size&badBit != 0 }

// Offset is where the record starts in its file.
func (e Entry) Offset() int64 { return int64(e.off) * format.RecordAlign }

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
const slotCost = format.FixedLen + format.RecordAlign/2

// New returns an empty index that is recovering: Settle ends that.
func New() *Index {
	ix := &Index{
		videos:   map[vstack.VideoID]*videoVotes{},
		minimums: map[vstack.UploadID]stamped{}, groups: map[groupKey]stamped{},
		installs: map[vstack.PG]*installs{}, files: map[uint32]*Usage{},
		graves: NewGraves(),
	}
	for i := range ix.shards {
		ix.shards[i] = map[vstack.ChunkID]Entry{}
	}
	return ix
}

// Apply takes in a durable record of a file, at off.
func (ix *Index) Apply(h *format.Header, file uint32, off int64) {
	switch h.Kind {
	case format.KindChunk:
		ix.putChunk(h, file, off)
		if h.Voted {
			ix.putVote(h, file)
		}
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
	case format.KindDrop:
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

func (ix *Index) putChunk(h *format.Header, file uint32, off int64) {
	shard := ix.shards[h.Value.Chunk[0]]
	old, ok := shard[h.Value.Chunk]
	if ok && old.LSN() >= h.LSN {
		return
	}
	if ok {
		ix.uncount(old)
	}
	shard[h.Value.Chunk] = NewEntry(h.LSN, file, off, h.DataLen)
	ix.usage(file).Live += format.RecordLen(h.DataLen)
	ix.chunks++
	ix.bytes += int64(h.DataLen)
}

// uncount takes a chunk's entry out of all sums.
func (ix *Index) uncount(e Entry) {
	ix.addLive(e.File, -format.RecordLen(e.Size()), e.LSN())
	ix.chunks--
	ix.bytes -= int64(e.Size())
	if e.Bad() {
		ix.bad--
	}
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
	Live  int64 // chunks and records of state
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
	Chunks, Bad int
	Bytes       int64 // of live chunks
	Slots       int   // with a vote or promise
}

func (ix *Index) Totals() Totals {
	return Totals{Chunks: ix.chunks, Bad: ix.bad, Bytes: ix.bytes, Slots: ix.slots}
}

// Chunk looks a chunk up.
func (ix *Index) Chunk(id vstack.ChunkID) (Entry, bool) {
	e, ok := ix.shards[id[0]][id]
	return e, ok
}

// MarkBad marks a chunk as bad if it is still what e says, and was not bad before.
func (ix *Index) MarkBad(id vstack.ChunkID, e Entry) bool {
	now, ok := ix.shards[id[0]][id]
	if !ok || now != e || e.Bad() {
		return false
	}
	e.size |= badBit
	ix.shards[id[0]][id] = e
	ix.bad++
	return true
}

// Shards is the number of parts that Page takes one of.
const Shards = 256

// Page calls visit with the chunks of one shard behind after, in order of their ids;
// all ids of a shard are below those of the next.
func (ix *Index) Page(shard int, after vstack.ChunkID, visit func(vstack.ChunkID, Entry)) {
	var ids []vstack.ChunkID
	for id := range ix.shards[shard] {
		if slices.Compare(id[:], after[:]) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b vstack.ChunkID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		visit(id, ix.shards[shard][id])
	}
}
