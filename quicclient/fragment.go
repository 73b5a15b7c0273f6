package quicclient

import (
	"context"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/attribute"

	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Fragment reads a fragment of a chunk from one store, for a datanode that rebuilds the
// chunk or another fragment: what comes is not proven by itself. With an error comes what
// the store holds of the chunk instead, if it said so.
func (c *Client) Fragment(ctx context.Context, to vstack.Store, v vstack.Value, p vstack.Piece) (data []byte, held []vstack.Piece, err error) {
	size := p.Size(v.Size)
	peer := c.pool.Peer(to)
	ctx, span := tracing.Start(ctx, "get a fragment", attribute.Stringer("store", to.ID), attribute.Stringer("piece", p))
	defer func() { tracing.End(span, err) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+peer.Addr+wire.FragmentPath(v.Chunk, p), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("fragment %s of chunk %s: %w: %v", p, v.Chunk.Short(), vstack.ErrInvalid, err)
	}
	tracing.Inject(ctx, req.Header)
	if isBackground(ctx) {
		req.Header.Set("Priority", wire.PriorityBackground)
	}
	resp, took, err := peer.Get(req, c.how(), int64(size))
	defer took(int64(size))
	if err != nil {
		return nil, nil, fmt.Errorf("fragment %s of chunk %s from %s: %w: %w", p, v.Chunk.Short(), peer.Addr, vstack.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	data, held, err = wire.ReadFragment(resp.Response, size)
	if err != nil {
		return nil, held, fmt.Errorf("fragment %s of chunk %s from %s: %w", p, v.Chunk.Short(), peer.Addr, err)
	}
	return data, nil, nil
}
