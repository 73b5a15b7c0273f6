package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Fragments is a store that holds fragments beside chunks. A Chunks that is none has none.
type Fragments interface {
	// Fragments lists those of a chunk that are here and not known damaged, and the size of
	// the whole chunk.
	Fragments(id vstack.ChunkID) ([]vstack.Piece, uint32)
	// Damaged reports whether a fragment is here and known damaged.
	Damaged(id vstack.ChunkID, p vstack.Piece) bool
	// ReadPieceAt is ReadAt for a fragment.
	ReadPieceAt(ctx context.Context, id vstack.ChunkID, piece vstack.Piece, p []byte, off int64) (int, error)
	// PieceLeaves is the leaf table of the whole chunk that was stored with a fragment.
	PieceLeaves(ctx context.Context, id vstack.ChunkID, piece vstack.Piece) (vstack.LeafTable, error)
}

// noStore keeps caches from holding fragments: nobody can check one by itself, and a cache
// would go on answering with one that was rotten.
var noStore = []string{"no-store"}

// fragments are those of a chunk that are here.
func (r *Reader) fragments(id vstack.ChunkID) ([]vstack.Piece, uint32) {
	if s, ok := r.cfg.Store.(Fragments); ok {
		return s.Fragments(id)
	}
	return nil, 0
}

// ServeFragment answers with a fragment or a part of it, from what is here alone: the
// fragment, or the chunk that it is made of. It never joins fragments, so that no request
// makes this store ask others. The route has set {sha256}, {scheme} and {number}.
func (r *Reader) ServeFragment(w http.ResponseWriter, req *http.Request) {
	opened := time.Now()
	id, err := chunkName(req)
	if err != nil {
		r.fail(w, err)
		return
	}
	piece, err := vstack.ParsePiece(req.PathValue("scheme") + "/" + req.PathValue("number"))
	if err != nil {
		r.fail(w, err)
		return
	}
	held, size := r.fragments(id)
	c := content{id: id, piece: piece, tag: `"` + id.String() + "/" + piece.String() + `"`, keep: noStore, from: fromFragment}
	if !slices.Contains(held, piece) {
		whole, ok := r.cfg.Store.Size(id)
		if !ok {
			r.absentFragment(w, id, piece, held)
			return
		}
		size, c.from = whole, fromChunk
	}
	c.whole, c.size = size, int64(piece.Size(size))
	r.answer(w, req, c, opened)
}

// absentFragment says what is here instead.
func (r *Reader) absentFragment(w http.ResponseWriter, id vstack.ChunkID, p vstack.Piece, held []vstack.Piece) {
	if s, ok := r.cfg.Store.(Fragments); ok && s.Damaged(id, p) {
		r.cfg.CorruptPiece(id, p)
		r.fail(w, fmt.Errorf("fragment %s of chunk %s: %w", p, id.Short(), vstack.ErrCorrupt))
		return
	}
	r.name(w, held)
	r.fail(w, fmt.Errorf("fragment %s of chunk %s: %w", p, id, vstack.ErrNotFound))
}

// name tells which fragments are here.
func (r *Reader) name(w http.ResponseWriter, held []vstack.Piece) {
	if len(held) > 0 {
		w.Header()[wire.HeaderFragments] = []string{wire.FormatFragments(held)}
	}
}

// joins reports whether the reader joins fragments itself.
func joins(req *http.Request) bool {
	asked := req.Header[wire.HeaderFragments]
	return len(asked) == 1 && strings.TrimSpace(asked[0]) == wire.FragmentsAsked
}

// rebuild makes the whole chunk of fragments here and elsewhere.
func (r *Reader) rebuild(ctx context.Context, c content) ([]byte, error) {
	ctx, span := tracing.Start(ctx, "join fragments", attribute.Int("held", len(c.held)))
	tracing.Keep(span, "decoded")
	whole, err := r.cfg.Rebuild(ctx, vstack.Value{Chunk: c.id, Size: c.whole}, c.held[0].Scheme)
	tracing.End(span, err)
	if errors.Is(err, vstack.ErrHashMismatch) {
		err = fmt.Errorf("%w: no fragments of the chunk make it: %v", vstack.ErrCorrupt, err)
	}
	return whole, err
}

// encode makes a fragment of the chunk, which is here.
func (r *Reader) encode(ctx context.Context, c content, part span) (body []byte, waited time.Duration, err error) {
	chunk, release, waited, err := r.wholeChunk(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	defer release()
	made, err := r.cfg.Encode(chunk, c.piece)
	if err != nil {
		return nil, 0, err
	}
	return made[part.off : part.off+part.n], waited, nil
}

// wholeChunk is the chunk's checked bytes, from memory or from the disk.
func (r *Reader) wholeChunk(ctx context.Context, c content) (body []byte, release func(), waited time.Duration, err error) {
	if whole := r.cfg.Cache.get(c.id); whole != nil {
		return whole.buf.Bytes, whole.leave, 0, nil
	}
	return r.readShared(ctx, c.id, span{0, int64(c.whole)})
}
