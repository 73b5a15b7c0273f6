package finding

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/vstack/vstack/internal/vstack"
)

// Kind names what was found wrong.
type Kind string

const (
	// TornTail is the end of the log after a crash, cut off: nothing acknowledged.
	TornTail Kind = "torn_tail"
	// LostRecords is rot where records were: votes may be forgotten, and the store must not
	// vote until its placement groups have moved on.
	LostRecords Kind = "lost_records"
	// Chunk is a chunk, or a fragment of one, whose bytes fail their checksum.
	Chunk Kind = "chunk"
	// Rot is damage that lost nothing: a footer, padding or a record of no account.
	Rot Kind = "rot"
)

// Finding is one thing found wrong.
type Finding struct {
	Kind   Kind
	File   string
	Offset int64
	Length int64
	Chunk  vstack.ChunkID // of kind Chunk
	Piece  vstack.Piece
	Err    error
	// Settled says that what was lost is noted in the log: see List.Settled.
	Settled bool
}

// place is where something is missing.
func (f *Finding) place() Place { return Place{filepath.Base(f.File), f.Offset, f.Length} }

// Place is a part of a file.
type Place struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

// most bounds the findings kept; a store's metric counts all.
const most = 1000

// List keeps findings. It may be used concurrently; the zero List is empty.
type List struct {
	mu   sync.Mutex // guards the fields below
	kept []Finding
	lost bool
	// settled are the places whose loss is noted, places all that were found.
	settled, places map[Place]bool
}

// settle tells, before anything is found, which losses an earlier life noted: the same
// damage is found by every Open, and is no new loss.
func (l *List) settle(places []Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = map[Place]bool{}
	for _, p := range places {
		l.settled[p] = true
	}
}

// Places are where records are missing, in order; the caller notes them.
func (l *List) Places() []Place {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Keys(l.places), func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Length, b.Length))
	})
}

// Add keeps a finding, unless there are very many.
func (l *List) Add(f Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.Kind == LostRecords {
		if l.places == nil {
			l.places = map[Place]bool{}
		}
		l.places[f.place()] = true
		f.Settled = l.settled[f.place()]
		l.lost = l.lost || !f.Settled
	}
	if len(l.kept) < most {
		l.kept = append(l.kept, f)
	}
}

// All lists the findings, oldest first, at most 1,000.
func (l *List) All() []Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

// Lost reports whether one was of LostRecords, and not settled before.
func (l *List) Lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}
