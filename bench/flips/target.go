package flips

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// scrubRate lets a scrub read as fast as it can.
const scrubRate = 1 << 40

// scrubTimeout bounds one scrub.
const scrubTimeout = 2 * time.Minute

// Target is a running store.
type Target struct {
	Dir  string       // its files
	Addr string       // HOST:PORT
	HTTP *http.Client // with an administrator's certificate
	// Whole has every chunk read in one piece as well. A store keeps in memory what was
	// read whole twice, so this is for one that has no memory for it; the others are read
	// in ranges, which come from the files.
	Whole bool
	// Findings returns the damage that the store has reported since the last call.
	Findings func() ([]Finding, error)
}

// Clean reports whether an error is a store's refusal of damaged bytes.
func Clean(err error) bool { return errors.Is(err, vstack.ErrCorrupt) }

// Get reads a chunk in two ranges and tells whether its bytes are right. The error is the
// store's refusal, or that there was no answer.
func (t *Target) Get(ctx context.Context, id vstack.ChunkID) (right bool, err error) {
	if t.Whole {
		if right, err := t.GetWhole(ctx, id); err != nil || !right {
			return right, err
		}
	}
	var parts []byte
	split := int(id[0] % 64)
	for _, r := range []string{fmt.Sprintf("bytes=0-%d", split), fmt.Sprintf("bytes=%d-", split+1)} {
		p, err := t.ask(ctx, http.MethodGet, wire.PathChunks+id.String(), nil, r)
		if err != nil {
			return false, err
		}
		parts = append(parts, p...)
	}
	return vstack.ChunkIDOf(parts) == id, nil
}

// GetWhole reads a chunk in one piece, as players do.
func (t *Target) GetWhole(ctx context.Context, id vstack.ChunkID) (right bool, err error) {
	whole, err := t.ask(ctx, http.MethodGet, wire.PathChunks+id.String(), nil, "")
	return err == nil && vstack.ChunkIDOf(whole) == id, err
}

// Inventory lists the store's chunks with the records that hold them.
func (t *Target) Inventory(ctx context.Context) (map[vstack.ChunkID]vstack.LSN, error) {
	out := map[vstack.ChunkID]vstack.LSN{}
	for cursor := ""; ; {
		var page wire.InventoryPage
		if err := t.get(ctx, "/v1/inventory?limit=4096&cursor="+url.QueryEscape(cursor), &page); err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			out[item.Chunk] = item.LSN
		}
		if cursor = page.Next; cursor == "" {
			return out, nil
		}
	}
}

// Scrub has every byte checked and waits for the end.
func (t *Target) Scrub(ctx context.Context) error {
	var st wire.StoreStatus
	if err := t.get(ctx, "/v1/store", &st); err != nil {
		return err
	}
	passes, began := st.Scrub.Passes, st.Scrub.Started
	req, err := json.Marshal(wire.ScrubRequest{Rate: scrubRate})
	if err != nil {
		return err
	}
	if _, err := t.ask(ctx, http.MethodPost, "/v1/scrub", req, ""); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, scrubTimeout)
	defer cancel()
	err = t.until(ctx, "the scrub to end", func(now wire.StoreStatus) bool {
		st = now
		return !now.Scrub.Running && now.Scrub.Started.After(began)
	})
	if err == nil && st.Scrub.Passes == passes {
		err = fmt.Errorf("scrub of %s: %w: %s", t.Addr, vstack.ErrCorrupt, st.Scrub.Error)
	}
	return err
}

// Healed waits until the store lacks nothing and holds so many chunks.
func (t *Target) Healed(ctx context.Context, chunks int) error {
	return t.until(ctx, "the store to heal", func(st wire.StoreStatus) bool {
		return st.Report.Corrupt == 0 && st.Report.Missing == 0 && st.Report.Chunks == int64(chunks)
	})
}

// until polls the store's status.
func (t *Target) until(ctx context.Context, what string, ok func(wire.StoreStatus) bool) error {
	var last wire.StoreStatus
	for {
		var st wire.StoreStatus
		err := t.get(ctx, "/v1/store", &st)
		if err == nil {
			if last = st; ok(st) {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: last %+v: %w", what, vstack.ErrTimeout, last, context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func (t *Target) get(ctx context.Context, path string, v any) error {
	body, err := t.ask(ctx, http.MethodGet, path, nil, "")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("GET %s of %s: %w", path, t.Addr, err)
	}
	return nil
}

func (t *Target) ask(ctx context.Context, method, path string, body []byte, ranges string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+t.Addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	resp, err := t.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", t.Addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("%s %s of %s: %w", method, path, t.Addr, wire.ReadError(resp))
	}
	out, err := io.ReadAll(io.LimitReader(resp.Body, vstack.MaxChunkSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s %s of %s: %w", method, path, t.Addr, err)
	}
	return out, nil
}
