package inventory

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/httpclient"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// maxListed bounds the chunks that a report names one by one.
	maxListed = 10000
	// inventoryPage is how many chunks one question to a store answers.
	inventoryPage = 4096
	// askParallel is how many manifests, and how many stores, are asked at once.
	askParallel = 8
)

// MissingChunk is a chunk that the catalog names and too few stores hold.
type MissingChunk struct {
	Slot   vstack.Slot    `json:"slot"` // one of those that it fills
	Chunk  vstack.ChunkID `json:"chunk"`
	Copies int            `json:"copies"`
	// Fragments are those of Scheme that there are, of the one of which there are most.
	Fragments int           `json:"fragments,omitempty"`
	Scheme    vstack.Scheme `json:"scheme,omitzero"`
	Lost      bool          `json:"lost"` // it cannot be had from what was told
}

// Film is a video some chunks of which are lost or have too little.
type Film struct {
	Video  vstack.VideoID `json:"video"`
	Title  string         `json:"title"`
	Chunks int            `json:"chunks"` // slots
	Lost   int            `json:"lost"`
	Few    int            `json:"few"` // the lost ones among them
}

// Report is the outcome of a check.
type Report struct {
	Videos   int            `json:"videos"` // published
	Chunks   int            `json:"chunks"` // distinct
	Stores   int            `json:"stores"` // that told what they hold
	Silent   []string       `json:"silent"` // addresses of those that did not
	Lost     int            `json:"lost"`   // chunks that cannot be had
	Few      int            `json:"few"`    // chunks with fewer copies than acceptors, and fewer fragments than their scheme has
	ByCopies []int          `json:"by_copies"`
	Missing  []MissingChunk `json:"missing"` // the first 10,000
	Films    []Film         `json:"films"`   // that these concern
}

// Checker asks.
type Checker struct {
	Meta *metaclient.Client
	Web  *httpclient.Client
}

// held is what stores have of a chunk.
type held struct {
	slot   vstack.Slot
	id     vstack.ChunkID
	size   uint32
	copies int
	pieces map[vstack.Scheme]uint32 // a bit for each fragment
}

// named is what the catalog names, and how much of each there is.
type named struct {
	mu     sync.Mutex // guards all below while stores and members are asked
	index  map[vstack.ChunkID]int
	chunks []held
	films  []film
}

type film struct {
	video  vstack.Video
	chunks []int // of its slots, in named.chunks
}

// Check asks every store what it holds and compares it with what the catalog names in the
// given videos.
func (c *Checker) Check(ctx context.Context, prog *console.Progress, videos []vstack.Video) (Report, error) {
	r := Report{Videos: len(videos), Silent: []string{}, Missing: []MissingChunk{}, Films: []Film{}}
	m, err := c.Meta.RefreshPlacement(ctx)
	if err != nil {
		return r, err
	}
	n := &named{index: map[vstack.ChunkID]int{}}
	if err := c.nameAll(ctx, prog, n, videos); err != nil {
		return r, err
	}
	task := prog.Task("inventory", console.UnitCount, int64(len(m.Stores)))
	var g errgroup.Group
	g.SetLimit(askParallel)
	var mu sync.Mutex
	for _, s := range m.Stores {
		g.Go(func() error {
			err := c.inventory(ctx, s.Addr, n)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.Silent = append(r.Silent, fmt.Sprintf("%s: %v", s.Addr, err))
			} else {
				r.Stores++
			}
			task.Set(int64(r.Stores+len(r.Silent)), int64(len(m.Stores)), s.Addr)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		task.Fail("left")
		return r, err
	}
	task.End(fmt.Sprintf("%d of %d stores", r.Stores, len(m.Stores)))
	r.tally(n)
	return r, nil
}

// nameAll reads the manifests.
func (c *Checker) nameAll(ctx context.Context, prog *console.Progress, n *named, videos []vstack.Video) error {
	task := prog.Task("manifests", console.UnitCount, int64(len(videos)))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(askParallel)
	for _, v := range videos {
		g.Go(func() error {
			m, err := c.Meta.Manifest(gctx, v.ID)
			if err != nil {
				return fmt.Errorf("manifest of video %s: %w", v.ID, err)
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			f := film{video: v}
			for slot, ref := range m.Slots {
				at, ok := n.index[ref.ID]
				if !ok {
					at = len(n.chunks)
					n.index[ref.ID] = at
					n.chunks = append(n.chunks, held{slot: slot, id: ref.ID, size: ref.Size})
				}
				f.chunks = append(f.chunks, at)
			}
			n.films = append(n.films, f)
			task.Set(int64(len(n.films)), int64(len(videos)), "")
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		task.Fail("left")
		return err
	}
	task.End(fmt.Sprintf("%d chunks", len(n.chunks)))
	return nil
}

// inventory counts what a store holds of the chunks that are named.
func (c *Checker) inventory(ctx context.Context, addr string, n *named) error {
	cursor := ""
	for {
		q := url.Values{"limit": {fmt.Sprint(inventoryPage)}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		var page wire.InventoryPage
		if err := c.Web.JSON(ctx, "GET", "https://"+addr+"/v1/inventory?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		n.count(page.Items)
		if page.Next == "" || page.Next == cursor {
			return nil
		}
		cursor = page.Next
	}
}

func (n *named) count(items []wire.InventoryItem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, item := range items {
		i, ok := n.index[item.Chunk]
		if !ok || n.chunks[i].size != item.Size {
			continue
		}
		h := &n.chunks[i]
		if item.Piece.IsChunk() {
			h.copies++
			continue
		}
		if h.pieces == nil {
			h.pieces = map[vstack.Scheme]uint32{}
		}
		h.pieces[item.Piece.Scheme] |= 1 << (item.Piece.I % 32)
	}
}
