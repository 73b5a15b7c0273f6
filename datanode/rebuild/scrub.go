package rebuild

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vstack"
)

// proofPage is how many fragments are listed at a time.
const proofPage = 512

// Proofs are what ProveAll found.
type Proofs struct {
	Proven int // the chunk's
	Rotten int // not the chunk's, and condemned
	Open   int // not to be told now: too few others were found
}

// ProveAll holds every fragment here to its chunk, which is made of others each time, at
// most bytesPerSecond of chunks (0: no limit). It calls bad for those that are not. What
// cannot be told now, since stores are away, is for the next pass. It returns early with
// ctx's error.
//
// Checksums say that a fragment is what was stored. This says that what was stored was
// right, and costs a chunk's bytes from peers for each fragment.
func (r *Rebuilder) ProveAll(ctx context.Context, bytesPerSecond int64, bad func(vstack.ChunkID, vstack.Piece, error)) (p Proofs, err error) {
	limit := rate.NewLimiter(rate.Inf, 0)
	if bytesPerSecond > 0 {
		limit = rate.NewLimiter(rate.Limit(bytesPerSecond), vstack.MaxChunkSize)
	}
	var after vstack.ChunkID
	for {
		page := r.cfg.Disk.Fragments(after, proofPage)
		if len(page) == 0 {
			return p, nil
		}
		after = page[len(page)-1].ID
		for _, info := range page {
			if info.Bad {
				continue // it is known, and made anew
			}
			if err := limit.WaitN(ctx, int(min(info.Size, vstack.MaxChunkSize))); err != nil {
				return p, fmt.Errorf("prove fragments of store %s: %w", r.cfg.Disk.ID(), err)
			}
			r.proveOne(ctx, info, bad, &p)
		}
	}
}

func (r *Rebuilder) proveOne(ctx context.Context, info superblock.Info, bad func(vstack.ChunkID, vstack.Piece, error), p *Proofs) {
	err := r.Prove(ctx, vstack.Value{Chunk: info.ID, Size: info.Size}, info.Piece)
	switch {
	case err == nil:
		p.Proven++
	case errors.Is(err, vstack.ErrCorrupt):
		p.Rotten++
		bad(info.ID, info.Piece, err)
	case errors.Is(err, vstack.ErrNotFound): // dropped meanwhile, or named by nothing any more
	default:
		p.Open++
	}
}
