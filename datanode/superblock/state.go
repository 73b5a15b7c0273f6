package superblock

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/datanode/superblock/index"
	"github.com/vstack/vstack/datanode/superblock/scan"
	"github.com/vstack/vstack/internal/vstack"
)

// State calls yield with every consensus record that counts (votes, promises,
// minimums, seals, amnesia, claims, staged votes and their marks), without Data, in no particular order, until yield returns false.
// A vote that came with bytes is yielded as KindVote. The records are read from the
// files' footers, which are verified again; one that cannot be read is a finding, and
// LostRecords tells.
func (s *Store) State(yield func(Record, vstack.LSN) bool) {
	s.maintain.Lock()
	defer s.maintain.Unlock()
	for _, b := range s.filesByID() {
		more, err := s.eachEntry(b, func(h *format.Header, _ int64) bool {
			s.ix.RLock()
			counts := s.ix.Live(h, b.id).State
			s.ix.RUnlock()
			if !counts {
				return true
			}
			rec := h.Record
			rec.KeyGeneration = 0 // the vote's bytes are another matter
			if rec.Kind == KindChunk || rec.Kind == KindVote {
				rec.Kind, rec.Voted = KindVote, true
			}
			return yield(rec, h.LSN)
		})
		// A file that was only read loses nothing by a failed close.
		_ = b.release()
		if err != nil {
			s.found(Finding{Kind: FindLostRecords, File: b.path, Err: err})
		}
		if !more {
			return
		}
	}
}

// Group is a placement group's record of a kind of which it has one: KindSeal,
// KindAmnesia or KindClaim.
func (s *Store) Group(kind Kind, pg vstack.PG) (Record, bool) {
	s.ix.RLock()
	defer s.ix.RUnlock()
	return s.ix.Group(kind, pg)
}

// filesByID takes a reference to every file, ascending.
func (s *Store) filesByID() []*superblock {
	s.ix.RLock()
	defer s.ix.RUnlock()
	files := slices.SortedFunc(maps.Values(s.files), func(a, b *superblock) int { return cmp.Compare(a.id, b.id) })
	for _, b := range files {
		b.acquire()
	}
	return files
}

// eachEntry calls visit with each record header of a file and its offset, until visit
// returns false; it returns whether visit always returned true.
func (s *Store) eachEntry(b *superblock, visit func(h *format.Header, off int64) bool) (bool, error) {
	entries, err := s.entriesOf(b)
	if errors.Is(err, format.ErrMalformed) {
		entries, err = b.rebuildEntries()
	}
	if err != nil {
		return true, err
	}
	var h format.Header
	for i := range len(entries) / b.version.EntryLen() {
		off, err := format.DecodeEntry(entries, i, &h, b.version)
		if err != nil {
			return true, fmt.Errorf("%s: %w", b.path, err)
		}
		if !visit(&h, off) {
			return false, nil
		}
	}
	return true, nil
}

// entriesOf returns a file's footer entries: from memory while it is not sealed, else
// from the file, checked. Entries in memory are only ever appended to.
func (s *Store) entriesOf(b *superblock) ([]byte, error) {
	s.ix.RLock()
	sealed, entries, size := b.sealed, b.entries, b.size
	s.ix.RUnlock()
	if !sealed {
		return entries, nil
	}
	return scan.Footer(b.f, b.path, b.version, b.salt, size)
}

// Inventory lists chunks in order of their ids, bad ones included, beginning behind
// after (zero: at the beginning), at most limit.
func (s *Store) Inventory(after vstack.ChunkID, limit int) []Info {
	return s.list(after, limit, vstack.Piece.IsChunk)
}

// Fragments is Inventory for fragments, in order of their chunks' ids and their own. It
// ends behind the chunk with which it has limit, so that no chunk's are on two pages.
func (s *Store) Fragments(after vstack.ChunkID, limit int) []Info {
	return s.list(after, limit, func(p vstack.Piece) bool { return !p.IsChunk() })
}

// Holdings is Fragments for chunks and fragments, each chunk before its fragments.
func (s *Store) Holdings(after vstack.ChunkID, limit int) []Info {
	return s.list(after, limit, func(vstack.Piece) bool { return true })
}

func (s *Store) list(after vstack.ChunkID, limit int, wanted func(vstack.Piece) bool) []Info {
	var out []Info
	for shard := int(after[0]); shard < index.Shards && len(out) < limit; shard++ {
		s.ix.RLock()
		s.ix.Page(shard, after, func(id vstack.ChunkID, e index.Entry) {
			if wanted(e.Piece()) && (len(out) < limit || out[len(out)-1].ID == id) {
				out = append(out, infoOf(id, e))
			}
		})
		s.ix.RUnlock()
	}
	return out
}

// Stats is a store's state in figures. Bytes are of files unless said otherwise.
type Stats struct {
	Chunks     int   `json:"chunks"`
	BadChunks  int   `json:"bad_chunks"`
	Slots      int   `json:"slots"`       // with a vote or promise
	ChunkBytes int64 `json:"chunk_bytes"` // of the chunks themselves
	// Fragments and what follows is the same of fragments.
	Fragments     int   `json:"fragments"`
	BadFragments  int   `json:"bad_fragments"`
	FragmentBytes int64 `json:"fragment_bytes"`
	Superblocks   int   `json:"superblocks"`
	Used          int64 `json:"used"`    // what the files take, space reserved ahead included
	Written       int64 `json:"written"` // of it, behind which no record will go any more or yet did
	Live          int64 `json:"live"`    // of Written, records that count
	Garbage       int64 `json:"garbage"` // of Written, what compaction could free
	Capacity      int64 `json:"capacity"`
	// Free is what chunks may still take: space reserved ahead included, the reserve not.
	Free        int64      `json:"free"`
	LSN         vstack.LSN `json:"lsn"`
	LostRecords bool       `json:"lost_records"`
	Findings    int        `json:"findings"`
}

// Stats sums up; it takes time in proportion to the number of files.
func (s *Store) Stats() Stats {
	s.ix.RLock()
	t := s.ix.Totals()
	st := Stats{Chunks: t.Chunks, BadChunks: t.Bad, Slots: t.Slots, ChunkBytes: t.Bytes, Fragments: t.Fragments, BadFragments: t.BadFragments, FragmentBytes: t.FragmentBytes, Superblocks: len(s.files)}
	var ahead int64
	for _, b := range s.files {
		st.Used += b.size
		if b.sealed {
			st.Written += b.size
		} else {
			st.Written += b.end
			ahead = max(ahead, b.size-b.end-s.tailReserve()-b.version.FooterLen(b.count))
		}
		u := s.ix.Usage(b.id)
		st.Live += min(u.Live+u.Tombs, b.size)
	}
	s.ix.RUnlock()
	spare := s.ahead.Held()
	st.Used += spare
	st.Garbage = max(0, st.Written-st.Live)
	free, err := s.cfg.FS.Free(s.cfg.Dir)
	if err != nil {
		free = 0
	}
	st.Capacity = s.cfg.Capacity
	if st.Capacity == 0 {
		st.Capacity = st.Used + free
	}
	// Space is taken by whole superblocks: what is too little for one more takes no chunk.
	more := max(0, min(free, st.Capacity-st.Used)+spare-s.cfg.Reserve) / s.cfg.SuperblockSize
	st.Free = max(0, ahead) + more*s.cfg.SuperblockSize
	st.LSN, st.LostRecords, st.Findings = s.LSN(), s.LostRecords(), len(s.Findings())
	return st
}
