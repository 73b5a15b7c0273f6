package converge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
)

// step surveys the store, drops what that survey lets go, and only then tells what it
// found: nothing that the store has claimed is dropped by an older plan.
func (l *Loop) step(ctx context.Context) (plan, error) {
	// The order matters: a chunk that is published meanwhile leaves the votes after it
	// entered the view, so it is in one of the two; what is voted for from here on is
	// the plan's to protect.
	l.cfg.Votes.Plan()
	voted := l.cfg.Votes.Voted()
	p, err := l.survey()
	if err != nil {
		return p, l.tolerate(ctx, err)
	}
	l.missing.Store(p.lacking)
	if l.cfg.Complete() {
		if err = l.drop(ctx, p, voted); err == nil {
			l.leave(p, voted)
		}
	}
	l.tell(p)
	return p, err
}

// drop drops what has been allowed to go for the grace period, and has the log compacted.
func (l *Loop) drop(ctx context.Context, p plan, voted map[vstack.ChunkID]vstack.Slot) error {
	due := l.due(ctx, time.Now(), p, voted)
	if l.cfg.Hold() {
		due = nil
	}
	dropped := 0
	for len(due) > 0 && ctx.Err() == nil {
		n := min(dropBatch, len(due))
		gone, err := l.dropSome(ctx, due[:n])
		if err != nil {
			return l.tolerate(ctx, fmt.Errorf("drop pieces: %w", err))
		}
		for _, h := range due[:n] {
			delete(l.free, h)
			if h.piece.IsChunk() {
				l.healed(h.id)
			}
		}
		dropped += gone
		due = due[n:]
	}
	if dropped > 0 {
		l.metrics.dropped.Add(float64(dropped))
		l.cfg.Logger.Info("pieces that are not wanted here were dropped", "store", l.cfg.Disk.ID(), "pieces", dropped)
	}
	l.compact()
	return nil
}

// held names a piece on the store's disk.
type held struct {
	id    vstack.ChunkID
	piece vstack.Piece
}

// dropSome drops some pieces and says how many went. Chunks are the votes' to drop: one that
// was voted for since the plan stays. No vote rests on a fragment.
func (l *Loop) dropSome(ctx context.Context, due []held) (gone int, err error) {
	var chunks []vstack.ChunkID
	var recs []superblock.Record
	for _, h := range due {
		if h.piece.IsChunk() {
			chunks = append(chunks, h.id)
		} else {
			recs = append(recs, superblock.Record{Kind: superblock.KindDropFragment, Value: vstack.Value{Chunk: h.id}, Piece: h.piece})
		}
	}
	if len(chunks) > 0 {
		if gone, err = l.cfg.Votes.Drop(ctx, chunks); err != nil {
			return gone, err
		}
	}
	if len(recs) == 0 {
		return gone, nil
	}
	if _, err = l.cfg.Disk.Append(ctx, recs...); err != nil {
		return gone, err
	}
	return gone + len(recs), nil
}

// due walks the inventory, keeps since when each piece may go, and returns those whose grace
// period is over and that may still go. A piece that is wanted again, or of a chunk that is
// voted for, begins its grace anew when it is not.
func (l *Loop) due(ctx context.Context, now time.Time, p plan, voted map[vstack.ChunkID]vstack.Slot) (due []held) {
	since := make(map[held]time.Time, len(l.free))
	waiting := int64(0)
	for _, list := range []func(vstack.ChunkID, int) []superblock.Info{l.cfg.Disk.Inventory, l.cfg.Disk.Fragments} {
		for info := range l.inventory(ctx, list) {
			h := held{info.ID, info.Piece}
			if _, v := voted[info.ID]; v || p.Wanted(h.id, h.piece) {
				continue
			}
			first, known := l.free[h]
			permitted := p.Permits(h.id, h.piece, p.answer)
			if !permitted {
				waiting++
			}
			if !known && permitted {
				first, known = now, true
			}
			if known {
				since[h] = first
			}
			if permitted && now.Sub(first) >= l.cfg.Grace {
				due = append(due, h)
			}
		}
	}
	l.free = since
	l.waiting.Store(waiting)
	return due
}

// inventory walks all pages of a list.
func (l *Loop) inventory(ctx context.Context, list func(vstack.ChunkID, int) []superblock.Info) iter.Seq[superblock.Info] {
	return func(yield func(superblock.Info) bool) {
		var after vstack.ChunkID
		for ctx.Err() == nil {
			page := list(after, inventoryPage)
			if len(page) == 0 {
				return
			}
			after = page[len(page)-1].ID
			for _, info := range page {
				if !yield(info) {
					return
				}
			}
		}
	}
}

// leave forgets groups that the store has left once nothing of theirs is held.
func (l *Loop) leave(p plan, voted map[vstack.ChunkID]vstack.Slot) {
	var groups permit.Groups
	for _, slot := range voted {
		groups[slot.PG()] = true
	}
	done := p.Done(groups)
	if len(done) == 0 {
		return
	}
	if err := l.cfg.Groups.Forget(done); err != nil {
		l.cfg.Logger.Warn("groups that the store has left could not be noted as such", "store", l.cfg.Disk.ID(), "groups", len(done), "error", err)
	}
}

// tolerate passes on only what ends the store.
func (l *Loop) tolerate(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, vstack.ErrClosed) {
		return nil
	}
	l.cfg.Logger.Warn("store cannot be converged for now", "store", l.cfg.Disk.ID(), "error", err)
	return nil
}
