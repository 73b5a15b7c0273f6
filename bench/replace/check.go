package replace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// checksAtOnce is how many slots of an upload are looked at in parallel.
	checksAtOnce = 4
	// askTimeout bounds the search for a majority that answers in one epoch.
	askTimeout = 30 * time.Second
)

// checkAll checks what was not checked yet. Nobody writes any more.
func (w *writers) checkAll(ctx context.Context) error {
	for n := range width {
		for _, u := range w.full[n] {
			if err := w.check(ctx, u); err != nil {
				return err
			}
		}
		if u := w.current[n]; u != nil {
			if err := w.check(ctx, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// check looks every acknowledged chunk of an upload up, and ends the upload.
func (w *writers) check(ctx context.Context, u *written) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(checksAtOnce)
	for i, id := range u.chunks {
		g.Go(func() error {
			found := w.held(gctx, u.slot(i), id)
			if found == nil {
				found = w.readable(gctx, u.slot(i), id)
			}
			if gctx.Err() != nil {
				return gctx.Err()
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.checked++
			if found != nil {
				w.wrong = append(w.wrong, fmt.Sprintf("slot %s, acknowledged as chunk %s: %v", u.slot(i), id.Short(), found))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := w.c.meta.AbortUpload(ctx, u.ID, u.Incarnation); err != nil {
		return fmt.Errorf("end upload %s: %w", u.ID, err)
	}
	return nil
}

// held asks the acceptors of a slot until a majority of one epoch has answered: all that
// hold anything must hold this chunk, and a majority must. A group in the middle of a
// change answers nothing, and is asked again.
func (w *writers) held(ctx context.Context, slot vstack.Slot, want vstack.ChunkID) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var last error
	placement := w.c.meta.Placement // which may be a second old
	for {
		holding, err := w.ask(ctx, placement, slot, want)
		placement = w.c.meta.RefreshPlacement
		if err == nil && holding >= vstack.Majority {
			return nil
		}
		if errors.Is(err, vstack.ErrSlotConflict) {
			return err
		}
		if err == nil {
			err = fmt.Errorf("%d acceptors hold it", holding)
		}
		last = err
		if rest(ctx, 5*time.Millisecond) != nil {
			return fmt.Errorf("%w: %w", vstack.ErrTimeout, last)
		}
	}
}

// ask asks each acceptor once.
func (w *writers) ask(ctx context.Context, placement func(context.Context) (*vstack.PlacementMap, error), slot vstack.Slot, want vstack.ChunkID) (holding int, err error) {
	m, err := placement(ctx)
	if err != nil {
		return 0, err
	}
	group, _ := m.Group(slot)
	for _, id := range group.Acceptors() {
		store, _ := m.Store(id)
		reply, aerr := w.c.chunks.Ask(ctx, store, message.Query{Slot: slot})
		switch r := reply.(type) {
		case message.SlotState:
			switch {
			case r.Epoch != group.Epoch || r.Accepted.IsZero():
			case r.Value.Chunk != want:
				return 0, fmt.Errorf("store %s holds %s at %s: %w", id, r.Value.Chunk.Short(), r.Accepted, vstack.ErrSlotConflict)
			default:
				holding++
			}
		case message.Nack:
			err = r.Err()
		default:
			err = aerr
		}
	}
	if holding >= vstack.Majority {
		return holding, nil
	}
	return holding, err
}

// readable reads the chunk as any player would; Fetch compares its hash.
func (w *writers) readable(ctx context.Context, slot vstack.Slot, id vstack.ChunkID) error {
	got, err := w.c.chunks.Fetch(ctx, slot, vstack.ChunkRef{Seq: slot.Seq, ID: id, Size: chunkSize})
	got.Release()
	return err
}
