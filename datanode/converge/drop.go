package converge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// dropUnnamed drops what has been unnamed for the grace period, and compacts.
func (l *Loop) dropUnnamed(ctx context.Context) error {
	// The order matters: a chunk that is published meanwhile leaves the votes after it
	// entered the view, so it is in one of the two; what is voted for from here on is
	// the plan's to protect.
	l.cfg.Votes.Plan()
	voted := l.cfg.Votes.Voted()
	kept := l.survey().named
	if !l.cfg.Complete() {
		return nil
	}
	due := l.unnamedFor(ctx, time.Now(), func(id vstack.ChunkID) bool {
		_, v := voted[id]
		return v || kept.has(id)
	})
	if l.cfg.Hold() {
		due = nil
	}
	dropped := 0
	for len(due) > 0 && ctx.Err() == nil {
		n := min(dropBatch, len(due))
		gone, err := l.cfg.Votes.Drop(ctx, due[:n])
		if err != nil {
			return l.tolerate(ctx, fmt.Errorf("drop unnamed chunks: %w", err))
		}
		for _, id := range due[:n] {
			delete(l.unnamed, id)
			l.healed(id)
		}
		dropped += gone
		due = due[n:]
	}
	if dropped > 0 {
		l.metrics.dropped.Add(float64(dropped))
		l.cfg.Logger.Info("chunks that nothing names were dropped", "store", l.cfg.Disk.ID(), "chunks", dropped)
	}
	// Compact itself decides by the bound on garbage; without any it reads nothing.
	if _, err := l.cfg.Disk.Compact(ctx); err != nil {
		return l.tolerate(ctx, fmt.Errorf("compact: %w", err))
	}
	return nil
}

// unnamedFor walks the inventory, keeps since when each chunk is unnamed, and returns
// those whose grace period is over.
func (l *Loop) unnamedFor(ctx context.Context, now time.Time, kept func(vstack.ChunkID) bool) (due []vstack.ChunkID) {
	since := make(map[vstack.ChunkID]time.Time, len(l.unnamed))
	var after vstack.ChunkID
	for ctx.Err() == nil {
		page := l.cfg.Disk.Inventory(after, inventoryPage)
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
		for _, info := range page {
			if kept(info.ID) {
				continue
			}
			first, known := l.unnamed[info.ID]
			if !known {
				first = now
			}
			since[info.ID] = first
			if now.Sub(first) >= l.cfg.Grace {
				due = append(due, info.ID)
			}
		}
	}
	l.unnamed = since // what is named again starts anew when it is not
	return due
}

// tolerate passes on only what ends the store.
func (l *Loop) tolerate(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, vstack.ErrClosed) {
		return nil
	}
	l.cfg.Logger.Warn("space is not freed for now", "store", l.cfg.Disk.ID(), "error", err)
	return nil
}
