package cluster

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// maxListed bounds the chunks that a report names one by one.
	maxListed = 10000
	// inventoryPage is how many chunks one question to a store answers.
	inventoryPage = 4096
)

// MissingChunk is a chunk that the catalog names and too few stores hold.
type MissingChunk struct {
	Slot   vstack.Slot    `json:"slot"` // one of those that it fills
	Chunk  vstack.ChunkID `json:"chunk"`
	Copies int            `json:"copies"`
}

// HeldReport is the outcome of `raft snapshot check`.
type HeldReport struct {
	Videos   int            `json:"videos"` // published
	Chunks   int            `json:"chunks"` // distinct
	Stores   int            `json:"stores"` // that told what they hold
	Silent   []string       `json:"silent"` // addresses of those that did not
	Lost     int            `json:"lost"`   // chunks that no store holds
	Few      int            `json:"few"`    // chunks with fewer copies than acceptors
	ByCopies []int          `json:"by_copies"`
	Missing  []MissingChunk `json:"missing"` // the first 10,000
}

// named is what the catalog names: its chunks, and how many stores hold each.
type named struct {
	mu     sync.Mutex
	index  map[vstack.ChunkID]int
	chunks []MissingChunk
	sizes  []uint32
}

// Held asks every store what it holds and compares it with what the catalog names.
func (c *Cluster) Held(ctx context.Context, prog *console.Progress) (HeldReport, error) {
	r := HeldReport{Silent: []string{}, Missing: []MissingChunk{}}
	m, err := c.Meta.Placement(ctx)
	if err != nil {
		return r, err
	}
	videos, err := c.Videos(ctx, vstack.VideoPublished, 0)
	if err != nil {
		return r, err
	}
	r.Videos = len(videos)
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
func (c *Cluster) nameAll(ctx context.Context, prog *console.Progress, n *named, videos []vstack.Video) error {
	task := prog.Task("manifests", console.UnitCount, int64(len(videos)))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(askParallel)
	done := int64(0)
	for _, v := range videos {
		g.Go(func() error {
			m, err := c.Meta.Manifest(gctx, v.ID)
			if err != nil {
				return fmt.Errorf("manifest of video %s: %w", v.ID, err)
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			for slot, ref := range m.Slots {
				if _, ok := n.index[ref.ID]; !ok {
					n.index[ref.ID] = len(n.chunks)
					n.chunks = append(n.chunks, MissingChunk{Slot: slot, Chunk: ref.ID})
					n.sizes = append(n.sizes, ref.Size)
				}
			}
			done++
			task.Set(done, int64(len(videos)), "")
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

// inventory counts a copy for each named chunk that a store holds whole.
func (c *Cluster) inventory(ctx context.Context, addr string, n *named) error {
	cursor := ""
	for {
		q := url.Values{"limit": {fmt.Sprint(inventoryPage)}}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		var page wire.InventoryPage
		if err := c.Get(ctx, addr, "/v1/inventory?"+q.Encode(), &page); err != nil {
			return err
		}
		n.mu.Lock()
		for _, item := range page.Items {
			if i, ok := n.index[item.Chunk]; ok && n.sizes[i] == item.Size {
				n.chunks[i].Copies++
			}
		}
		n.mu.Unlock()
		if page.Next == "" || page.Next == cursor {
			return nil
		}
		cursor = page.Next
	}
}

func (r *HeldReport) tally(n *named) {
	r.Chunks = len(n.chunks)
	for _, ch := range n.chunks {
		for len(r.ByCopies) <= max(ch.Copies, vstack.Acceptors) {
			r.ByCopies = append(r.ByCopies, 0)
		}
		r.ByCopies[ch.Copies]++
		if ch.Copies >= vstack.Acceptors {
			continue
		}
		r.Few++
		if ch.Copies == 0 {
			r.Lost++
		}
		if len(r.Missing) < maxListed {
			r.Missing = append(r.Missing, ch)
		}
	}
}
