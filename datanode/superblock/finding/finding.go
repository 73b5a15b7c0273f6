package finding

import (
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
}

// most bounds the findings kept; a store's metric counts all.
const most = 1000

// List keeps findings. It may be used concurrently; the zero List is empty.
type List struct {
	mu   sync.Mutex // guards the fields below
	kept []Finding
	lost bool
}

// Add keeps a finding, unless there are very many.
func (l *List) Add(f Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = l.lost || f.Kind == LostRecords
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

// Lost reports whether one was of LostRecords.
func (l *List) Lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}
