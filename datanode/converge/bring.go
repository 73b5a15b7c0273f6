package converge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/datanode/permit"
	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
)

// fetchAll fetches what is wanted, a few at once. What no peer gives now is left to
// the next pass; a full disk ends this one.
func (l *Loop) fetchAll(ctx context.Context, wants []*want) error {
	if len(wants) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan want)
	var wg sync.WaitGroup
	for range min(l.cfg.Workers, len(wants)) {
		wg.Go(func() {
			for w := range queue {
				if err := l.fetch(ctx, w); err != nil && !l.goOn(ctx, w, err) {
					cancel(err)
				}
			}
		})
	}
feed:
	for _, w := range wants {
		select {
		case queue <- *w:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	wg.Wait()
	if err := context.Cause(ctx); errors.Is(err, vstack.ErrDiskFull) || err == nil {
		return nil
	} else if errors.Is(err, context.Canceled) || errors.Is(err, vstack.ErrClosed) {
		return nil
	} else {
		return err
	}
}

// goOn judges a chunk's failure: false when the others would fail the same way.
func (l *Loop) goOn(ctx context.Context, w want, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	l.metrics.failed.Inc()
	l.cfg.Logger.Warn("chunk could not be fetched yet", "store", l.cfg.Disk.ID(), "slot", w.slot, "chunk", w.value.Chunk, "error", err)
	var local *localError
	return !errors.As(err, &local)
}

// localError is a failure of this store rather than of a peer.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

// fetch brings what is lacking of one chunk here. Every piece that is made is made of bytes
// that hash to the chunk's name: no fragment proves anything by itself.
func (l *Loop) fetch(ctx context.Context, w want) error {
	if err := l.yield(ctx); err != nil {
		return err
	}
	heal := w.lacks.Chunk && l.isCorrupt(w.value.Chunk)
	if _, here := l.cfg.Disk.LookupPiece(w.value.Chunk, vstack.Piece{}); here && !heal {
		w.lacks.Chunk = false // a PUT was faster
	}
	if _, here := l.cfg.Disk.LookupPiece(w.value.Chunk, w.lacks.Fragment); here {
		w.lacks.Fragment = vstack.Piece{}
	}
	if w.lacks == (permit.Desire{}) {
		return nil
	}
	data, err := l.whole(ctx, w)
	if err != nil {
		return err
	}
	recs, err := l.records(w, data)
	if err != nil {
		return err
	}
	switch _, err = l.cfg.Disk.Append(ctx, recs...); {
	case errors.Is(err, vstack.ErrInvalid): // a log that has not followed the level keeps no fragments yet
		return fmt.Errorf("keep chunk %s: %w", w.value.Chunk.Short(), err)
	case err != nil:
		return &localError{fmt.Errorf("keep chunk %s: %w", w.value.Chunk.Short(), err)}
	}
	l.kept(w, heal)
	return nil
}

// whole is the whole chunk: the copy that is here, or one from peers.
func (l *Loop) whole(ctx context.Context, w want) ([]byte, error) {
	check := func(data []byte) error {
		if len(data) != int(w.value.Size) || vstack.ChunkIDOf(data) != w.value.Chunk {
			return fmt.Errorf("%w: %d bytes", vstack.ErrHashMismatch, len(data))
		}
		return nil
	}
	if !w.lacks.Chunk {
		if _, here := l.cfg.Disk.LookupPiece(w.value.Chunk, vstack.Piece{}); here {
			data := make([]byte, w.value.Size)
			_, err := l.cfg.Disk.ReadPieceAt(ctx, w.value.Chunk, vstack.Piece{}, data, 0)
			if err == nil {
				err = check(data)
			}
			if err == nil {
				return data, nil
			}
			l.Corrupt(w.value.Chunk)
		}
	}
	if err := l.cfg.Rate.spend(ctx, w.value.Size); err != nil {
		return nil, err
	}
	fctx, cancel := context.WithTimeout(ctx, l.cfg.FetchTimeout)
	defer cancel()
	data, err := l.cfg.Fetch(fctx, w.slot, w.value, w.scheme)
	if err == nil {
		err = check(data)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch chunk %s: %w", w.value.Chunk.Short(), err)
	}
	l.metrics.bytes.Add(float64(len(data)))
	return data, nil
}

// records are the pieces that are lacking, made of the whole chunk.
func (l *Loop) records(w want, data []byte) ([]superblock.Record, error) {
	var recs []superblock.Record
	leaves := vstack.LeavesOf(data)
	if w.lacks.Chunk {
		recs = append(recs, superblock.Record{Kind: superblock.KindChunk, Value: w.value, Data: data, Leaves: leaves})
	}
	if p := w.lacks.Fragment; !p.IsChunk() {
		codec, err := erasure.New(p.Scheme)
		if err != nil {
			return nil, err
		}
		fragment, err := codec.Fragment(data, p.I)
		if err != nil {
			return nil, fmt.Errorf("make fragment %s of chunk %s: %w", p, w.value.Chunk.Short(), err)
		}
		recs = append(recs, superblock.Record{Kind: superblock.KindFragment, Value: w.value, Piece: p, Data: fragment, Leaves: leaves,
			Slot: w.slot, PG: w.slot.PG()})
	}
	return recs, nil
}

// kept counts what was brought.
func (l *Loop) kept(w want, heal bool) {
	if !w.lacks.Fragment.IsChunk() {
		l.metrics.fragments.Inc()
	}
	if heal {
		l.healed(w.value.Chunk)
		l.metrics.healed.Inc()
		l.cfg.Logger.Info("chunk healed from a peer", "store", l.cfg.Disk.ID(), "chunk", w.value.Chunk)
		return
	}
	l.missing.Add(-1)
	if w.lacks.Chunk {
		l.metrics.filled.Inc()
	}
}

// yield waits while the store's readers are worse off than they should be, but not for
// ever: on a store that is always busy copies would stay missing. A worker then brings
// one chunk every maxYields pauses.
func (l *Loop) yield(ctx context.Context) error {
	for range maxYields {
		if l.cfg.ReadP99() <= l.cfg.MaxReadP99 {
			break
		}
		l.metrics.yields.Inc()
		select {
		case <-time.After(yieldPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
