package rebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
)

// mend is for fragments that do not make the chunk though all their checksums are right: it
// brings one more after the other until some k of them do, and names those that are rotten.
func (r *Rebuilder) mend(ctx context.Context, codec *erasure.Codec, g *gathering) ([]byte, error) {
	for want := g.count + 1; ; want = g.count + 1 {
		before := g.count
		g.until(ctx, want)
		chunk, rotten, err := codec.Mend(g.v, g.have)
		if errors.Is(err, vstack.ErrHashMismatch) && g.count > before {
			continue
		}
		for _, i := range rotten {
			r.rotten(g.v, vstack.Piece{Scheme: g.scheme, I: i})
		}
		return chunk, err
	}
}

// rotten condemns a fragment, if it is one of this store's; that of another store is for its
// own scrub to find.
func (r *Rebuilder) rotten(v vstack.Value, p vstack.Piece) {
	r.metrics.rotten.Inc()
	for _, info := range r.cfg.Disk.Pieces(v.Chunk) {
		if info.Piece == p {
			r.cfg.Disk.Condemn(v.Chunk, p, fmt.Errorf("fragment %s of chunk %s: %w: the chunk is made without it", p, v.Chunk.Short(), vstack.ErrHashMismatch))
			r.cfg.Rotten(v.Chunk, p)
			return
		}
	}
	r.cfg.Logger.Warn("a peer holds a rotten fragment", "store", r.cfg.Disk.ID(), "chunk", v.Chunk, "fragment", p)
}

// Fragment makes a fragment of a chunk: of the chunk where it is here, else of k fragments.
// It is proven, as the chunk that it is made of hashes to its name; leaves is that chunk's
// leaf table. Errors: as Chunk; ErrInvalid for what is no fragment.
func (r *Rebuilder) Fragment(ctx context.Context, v vstack.Value, p vstack.Piece) (data []byte, leaves vstack.LeafTable, err error) {
	if err := p.Check(); err != nil {
		return nil, nil, err
	}
	codec, err := r.cfg.Shared.codec(p.Scheme)
	if err != nil {
		return nil, nil, err
	}
	chunk, err := r.whole(ctx, v)
	if err != nil {
		if chunk, err = r.decode(ctx, v, p.Scheme, &p); err != nil {
			return nil, nil, err
		}
	}
	if data, err = codec.Fragment(chunk, p.I); err != nil {
		return nil, nil, err
	}
	return data, vstack.LeavesOf(chunk), nil
}

// whole reads the chunk where it is here, and hashes it.
func (r *Rebuilder) whole(ctx context.Context, v vstack.Value) ([]byte, error) {
	if v.Size == 0 || v.Size > vstack.MaxChunkSize {
		return nil, fmt.Errorf("chunk %s of %d bytes: %w", v.Chunk.Short(), v.Size, vstack.ErrInvalid)
	}
	b := make([]byte, v.Size)
	if n, err := r.cfg.Disk.ReadPieceAt(ctx, v.Chunk, vstack.Piece{}, b, 0); err != nil {
		return nil, err
	} else if n != len(b) || vstack.ChunkIDOf(b) != v.Chunk {
		return nil, fmt.Errorf("chunk %s: %w", v.Chunk.Short(), vstack.ErrHashMismatch)
	}
	return b, nil
}

// Prove holds a fragment here to the chunk, which it makes without the fragment. One that
// is not the chunk's is condemned, and the error is ErrCorrupt. Other errors prove nothing:
// as Chunk.
func (r *Rebuilder) Prove(ctx context.Context, v vstack.Value, p vstack.Piece) error {
	right, _, err := r.Fragment(ctx, v, p)
	if err != nil {
		return fmt.Errorf("prove fragment %s of chunk %s: %w", p, v.Chunk.Short(), err)
	}
	have := make([]byte, len(right))
	if _, err := r.cfg.Disk.ReadPieceAt(ctx, v.Chunk, p, have, 0); err != nil {
		return err
	}
	if !bytes.Equal(have, right) {
		r.rotten(v, p)
		return fmt.Errorf("fragment %s of chunk %s: %w", p, v.Chunk.Short(), vstack.ErrCorrupt)
	}
	return nil
}
