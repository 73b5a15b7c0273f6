package converge

import (
	"encoding/binary"

	"github.com/vstack/vstack/datanode/catalog"
	"github.com/vstack/vstack/internal/vstack"
)

// maxWanted bounds what one pass fetches; the rest is counted, and is the next pass's.
const maxWanted = 16 << 10

// desire is what a target must hold of one chunk.
type desire struct {
	chunk    bool
	fragment bool
}

// desireOf is the table of docs/datanode.md: what target index of a video in a class
// must hold.
func desireOf(class vstack.StorageClass, index int) desire {
	copied := index < vstack.Acceptors
	switch class {
	case vstack.ClassCold:
		return desire{fragment: true}
	case vstack.ClassCooling, vstack.ClassWarming:
		return desire{chunk: copied, fragment: true}
	default: // hot, and what a newer catalog may say: copies are never wrong
		return desire{chunk: copied}
	}
}

// want is a chunk that should be here, with the slot whose targets have it.
type want struct {
	slot  vstack.Slot
	value vstack.Value
}

// named is a set of chunks by the first eight bytes of their names: at millions of
// chunks the rest costs more memory than it is worth. Two chunks that share them only
// make one of them stay longer than it needs to.
type named map[uint64]struct{}

func (n named) add(id vstack.ChunkID)      { n[binary.BigEndian.Uint64(id[:])] = struct{}{} }
func (n named) has(id vstack.ChunkID) bool { _, ok := n[binary.BigEndian.Uint64(id[:])]; return ok }

// plan is what a pass found.
type plan struct {
	missing []want // at most maxWanted
	lacking int64  // all that are missing
	named   named
}

// survey compares what the store must hold with what it holds.
func (l *Loop) survey() plan {
	p := plan{named: named{}}
	at := l.cfg.Catalog.Applied() // before the view is read, which may be newer
	var lacks [vstack.PlacementGroups]bool
	seen := map[vstack.ChunkID]struct{}{} // of the missing, of which slots may share one
	l.cfg.Catalog.Holdings(l.cfg.Disk.ID(), func(h catalog.Holding) bool {
		if !desireOf(h.Class, h.Index).chunk {
			return true
		}
		p.named.add(h.Chunk)
		info, here := l.cfg.Disk.Lookup(h.Chunk)
		if info.Bad {
			l.Corrupt(h.Chunk)
		}
		if here {
			return true
		}
		lacks[h.Slot.PG()] = true
		if info.Bad {
			return true
		}
		if _, again := seen[h.Chunk]; again {
			return true
		}
		seen[h.Chunk] = struct{}{}
		p.lacking++
		if len(p.missing) < maxWanted {
			p.missing = append(p.missing, want{h.Slot, vstack.Value{Chunk: h.Chunk, Size: h.Size}})
		}
		return true
	})
	l.note(at, lacks)
	return p
}

// note keeps what a survey found, for Behind.
func (l *Loop) note(at uint64, lacks [vstack.PlacementGroups]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.surveyed, l.behind = at, nil
	for pg, yes := range lacks {
		if yes {
			l.behind = append(l.behind, vstack.PG(pg))
		}
	}
}
