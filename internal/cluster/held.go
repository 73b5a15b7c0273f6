package cluster

import (
	"context"

	"github.com/vstack/vstack/internal/cluster/inventory"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
)

// HeldReport is the outcome of Held.
type HeldReport = inventory.Report

// MissingChunk is of a HeldReport.
type MissingChunk = inventory.MissingChunk

// Held asks every store what it holds and compares it with what the catalog names: of the
// given videos, or of every published one.
func (c *Cluster) Held(ctx context.Context, prog *console.Progress, ids ...vstack.VideoID) (HeldReport, error) {
	var videos []vstack.Video
	var err error
	if len(ids) == 0 {
		if videos, err = c.Videos(ctx, vstack.VideoPublished, 0); err != nil {
			return HeldReport{}, err
		}
	}
	for _, id := range ids {
		v, err := c.Meta.Video(ctx, id)
		if err != nil {
			return HeldReport{}, err
		}
		videos = append(videos, v)
	}
	check := inventory.Checker{Meta: c.Meta, Web: c.web}
	return check.Check(ctx, prog, videos)
}
