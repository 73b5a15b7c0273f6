package cluster

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// ChunkCopy is one store's answer of `chunk locate`.
type ChunkCopy struct {
	Store  vstack.StoreID `json:"store"`
	Host   vstack.HostID  `json:"host"`
	Addr   string         `json:"addr"`
	Target int            `json:"target"` // 1 to 5, in the placement group's order; 0 is none
	Voter  bool           `json:"voter"`
	Has    bool           `json:"has"`
	Size   int64          `json:"size,omitempty"`
	Error  string         `json:"error,omitempty"`
}

// ChunkPlace answers `chunk locate`.
type ChunkPlace struct {
	Slot   *vstack.Slot   `json:"slot,omitempty"`
	Chunk  vstack.ChunkID `json:"chunk"`
	PG     *vstack.PG     `json:"pg,omitempty"`
	Epoch  vstack.Epoch   `json:"epoch,omitempty"`
	Copies []ChunkCopy    `json:"copies"`
}

// Locate asks every store whether it holds a chunk, named by slot or by hash.
func (c *Cluster) Locate(ctx context.Context, arg string) (ChunkPlace, error) {
	var place ChunkPlace
	m, err := c.Meta.Placement(ctx)
	if err != nil {
		return place, err
	}
	var targets vstack.PGTargets
	if strings.Contains(arg, "/") {
		slot, err := c.findSlot(ctx, arg)
		if err != nil {
			return place, err
		}
		pg := slot.PG()
		place.Slot, place.PG = &slot, &pg
		if targets, err = c.chosen(ctx, m, slot, &place); err != nil {
			return place, err
		}
	} else if place.Chunk, err = vstack.ParseChunkID(arg); err != nil {
		return place, err
	}
	place.Copies = make([]ChunkCopy, len(m.Stores))
	var g errgroup.Group
	g.SetLimit(askParallel)
	for i, s := range m.Stores {
		t := targets.Index(s.ID) + 1
		place.Copies[i] = ChunkCopy{Store: s.ID, Host: s.Host, Addr: s.Addr, Target: t, Voter: t > 0 && t <= vstack.Acceptors}
		g.Go(func() error {
			c.askFor(ctx, place.Chunk, &place.Copies[i])
			return nil
		})
	}
	return place, g.Wait()
}

// findSlot reads VIDEO/TRACK/SEQ, where VIDEO may be shortened.
func (c *Cluster) findSlot(ctx context.Context, arg string) (vstack.Slot, error) {
	video, rest, _ := strings.Cut(arg, "/")
	id, err := c.FindVideo(ctx, video)
	if err != nil {
		return vstack.Slot{}, err
	}
	return vstack.ParseSlot(id.String() + "/" + rest)
}

// chosen finds the chunk of a published video's slot, and the slot's targets.
func (c *Cluster) chosen(ctx context.Context, m *vstack.PlacementMap, slot vstack.Slot, place *ChunkPlace) (vstack.PGTargets, error) {
	targets, ok := m.Group(slot)
	if !ok {
		return targets, vstack.ErrNotReady
	}
	place.Epoch = targets.Epoch
	manifest, err := c.Meta.Manifest(ctx, slot.Video)
	if err != nil {
		return targets, err
	}
	for s, ref := range manifest.Slots {
		if s == slot {
			place.Chunk = ref.ID
			return targets, nil
		}
	}
	return targets, console.Hint(fmt.Errorf("the manifest has no such slot: %w", vstack.ErrNotFound), "vstack video info %s", slot.Video)
}

// askFor fills in whether the store has the chunk.
func (c *Cluster) askFor(ctx context.Context, id vstack.ChunkID, out *ChunkCopy) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+out.Addr+"/v1/chunks/"+id.String(), nil)
	if err != nil {
		out.Error = err.Error()
		return
	}
	resp, err := c.web.Do(req)
	if err != nil {
		out.Error = err.Error()
		return
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusOK:
		out.Has, out.Size = true, resp.ContentLength
	case resp.StatusCode != http.StatusNotFound:
		out.Error = wire.ReadError(resp).Error()
	}
}
