package transfer

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/stores"
)

// Request is a chunk to read.
type Request struct {
	Slot    vstack.Slot
	Ref     vstack.ChunkRef
	Targets []stores.Target // in placement order
	// Due is when the first fragment is needed, on the pool's clock; it is asked before
	// each decision and must be quick. Default: at once.
	Due func() time.Duration
	// Paces are how much later than the first each fragment of Ref is needed; missing ones
	// are as late as the last.
	Paces []time.Duration
	// Progress is told of the proven head of the chunk whenever it has grown. Calls do not
	// overlap; the bytes are valid until the Result is released; those of a Read that failed stay as they are.
	Progress func(head []byte)
	// Local has a store that holds no copy say so at once, and which fragment it holds, rather
	// than join the chunk of fragments.
	Local bool
	// Background has stores serve the requests after those of others.
	Background bool
	// Token has private chunks read by whoever shows it; Certified, by the client's certificate.
	Token     string
	Certified bool
	// Rows is set for a chunk that is stored as fragments of an erasure code.
	Rows *Rows
}

// Rows lays out a chunk that is stored as rows of an erasure code: any Need shares of a row
// give its bytes. Target i holds share i of every row.
type Rows struct {
	Need int
	List []Row // in the order of their bytes; together they are the chunk
	// Path is what target i is asked for; the shares of the rows lie in it one behind the
	// other.
	Path func(target int) string
	// Join makes a row's bytes from Need shares, by their targets.
	Join func(row int, shares map[int][]byte, dst []byte) error
}

// Row is one row.
type Row struct {
	Size  int64 // bytes of the chunk
	Share int64 // bytes of each share
}

// validate reports as ErrInvalid what no chunk can be.
func (r *Request) validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("read slot %s: %w: %s", r.Slot, vstack.ErrInvalid, fmt.Sprintf(format, args...))
	}
	if r.Ref.Size == 0 || r.Ref.Size > vstack.MaxChunkSize || r.Ref.ID.IsZero() {
		return bad("chunk %s of %d bytes", r.Ref.ID.Short(), r.Ref.Size)
	}
	if r.Rows == nil {
		return nil
	}
	var sum int64
	for i, row := range r.Rows.List {
		if row.Size <= 0 || row.Share <= 0 {
			return bad("row %d of %d bytes with shares of %d", i, row.Size, row.Share)
		}
		sum += row.Size
	}
	if sum != int64(r.Ref.Size) || r.Rows.Need < 1 || r.Rows.Path == nil || r.Rows.Join == nil {
		return bad("%d rows of %d bytes, need %d of a chunk of %d", len(r.Rows.List), sum, r.Rows.Need, r.Ref.Size)
	}
	return nil
}

// plan is where a chunk's fragments end and when they are needed.
type plan struct {
	ends  []int64 // at the border of a leaf where there are leaves
	paces []time.Duration
}

func newPlan(r *Request, grain int64) plan {
	size := int64(r.Ref.Size)
	var p plan
	var end int64
	for i, f := range r.Ref.Fragments {
		end += int64(f.Size)
		last := i == len(r.Ref.Fragments)-1
		at := min((end+grain-1)/grain*grain, size)
		if last || end > size {
			at = size
		}
		pace := time.Duration(0)
		if n := len(r.Paces); n > 0 {
			pace = r.Paces[min(i, n-1)]
		}
		if n := len(p.ends); n > 0 && p.ends[n-1] == at {
			continue // it ends in the same leaf as the one before, which is needed sooner
		}
		p.ends, p.paces = append(p.ends, at), append(p.paces, pace)
	}
	if n := len(p.ends); n == 0 || p.ends[n-1] < size {
		pace := time.Duration(0)
		if n > 0 {
			pace = p.paces[n-1]
		}
		p.ends, p.paces = append(p.ends, size), append(p.paces, pace)
	}
	return p
}

// at returns the end of the fragment that a byte lies in, and how much later than the
// first it is needed.
func (p *plan) at(off int64) (end int64, pace time.Duration) {
	i, found := slices.BinarySearchFunc(p.ends, off, func(end, off int64) int { return cmp.Compare(end, off) })
	if found {
		i++
	}
	i = min(i, len(p.ends)-1)
	return p.ends[i], p.paces[i]
}

// Result is a proven chunk and how it came.
type Result struct {
	Data    []byte
	Store   vstack.StoreID // that brought the most of it
	Proto   string         // of Store's answers
	Sources []Source       // every store that brought a part of it, the most first
	TTFB    time.Duration  // request to first byte, of the first answer
	Elapsed time.Duration  // Read to proven bytes
	Retries int            // attempts that failed
	Hedges  int            // attempts started beside others, or that took over a part
	Asked   int            // requests
	Liars   []vstack.StoreID

	pool *bufferPool
}

// Source is what one store brought of a chunk.
type Source struct {
	Store vstack.StoreID
	Proto string
	Bytes int64
}

// Release gives Data back for reuse. It is optional, and the last use of Data and of what
// Progress was given.
func (r *Result) Release() {
	if r.pool != nil && r.Data != nil {
		r.pool.put(r.Data)
	}
	r.Data, r.pool = nil, nil
}
