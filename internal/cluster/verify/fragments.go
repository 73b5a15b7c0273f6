package verify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// fragmentsOf checks the fragments of one chunk: that each holder has its own in the right
// size, or, deep, that they join to the chunk, and which of them does not belong to it. It
// puts what is wrong with each into errs, by holder, and returns the bytes read.
func (c *Verifier) fragmentsOf(ctx context.Context, m *vstack.PlacementMap, s wire.SlotPlacement, deep bool, errs []error) (read int64) {
	fragments := make([][]byte, s.Scheme.Total())
	for j, holder := range s.Holders {
		st, _ := m.Store(holder)
		p := vstack.Piece{Scheme: s.Scheme, I: uint8(s.Fragments[j])}
		var data []byte
		if data, errs[j] = c.fragmentAt(ctx, st.Addr, s.Chunk, p, deep); errs[j] == nil {
			fragments[p.I] = data
			read += int64(len(data))
		}
	}
	if !deep {
		return read
	}
	codec, err := erasure.New(s.Scheme)
	if err != nil {
		return read
	}
	_, rotten, err := codec.Mend(vstack.Value{Chunk: s.Chunk.ID, Size: s.Chunk.Size}, fragments)
	for j := range errs {
		switch {
		case errs[j] != nil:
		case err != nil: // no choice of them makes the chunk
			errs[j] = err
		case slices.Contains(rotten, uint8(s.Fragments[j])):
			errs[j] = fmt.Errorf("fragment %d is not the chunk's: %w", s.Fragments[j], vstack.ErrHashMismatch)
		}
	}
	return read
}

// fragmentAt asks one store for a fragment that it holds, and with deep reads it.
func (c *Verifier) fragmentAt(ctx context.Context, addr string, ref vstack.ChunkRef, p vstack.Piece, deep bool) ([]byte, error) {
	method := http.MethodHead
	if deep {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://"+addr+wire.FragmentPath(ref.ID, p), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Web.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, wire.ReadError(resp)
	}
	want := p.Size(ref.Size)
	if resp.ContentLength != int64(want) {
		return nil, fmt.Errorf("has %d bytes, want %d: %w", resp.ContentLength, want, vstack.ErrCorrupt)
	}
	if !deep {
		return nil, nil
	}
	data := make([]byte, want)
	_, err = io.ReadFull(resp.Body, data)
	return data, err
}
