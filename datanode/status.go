package datanode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	inventoryPage    = 1000
	maxInventoryPage = 4096
	maxScrubBody     = 4 << 10
)

// ready lists what the host needs to serve: each store's vote. A metastore that is
// away later changes nothing, for reads go on.
func (s *Server) ready(context.Context) []ops.Check {
	var out []ops.Check
	for _, st := range s.stores {
		c := ops.Check{Name: "store " + st.disk.ID().String(), Detail: "serves " + st.endpoint.Addr()}
		if votes, why := st.voter.Votes(); !votes {
			c.Err = fmt.Errorf("does not vote: %s", why)
		}
		if why := st.past.why(); why != "" {
			c.Err = errors.New(why)
		}
		out = append(out, c)
	}
	return out
}

func (st *store) serveStore(w http.ResponseWriter, _ *http.Request) {
	stats := st.disk.Stats()
	votes, why := st.voter.Votes()
	writeJSON(w, http.StatusOK, wire.StoreStatus{
		Host: st.server.cfg.Host, Report: st.report(),
		Fragments: int64(stats.Fragments), FragmentBytes: stats.FragmentBytes,
		Live: stats.Live, Garbage: stats.Garbage, Free: stats.Free, Superblocks: stats.Superblocks,
		Votes: votes, Reason: why, InFlight: int64(st.gate.Busy()), Scrub: st.loop.ScrubStatus(),
	})
}

func (st *store) serveInventory(w http.ResponseWriter, r *http.Request) {
	after, limit, err := inventoryQuery(r)
	list := st.disk.Inventory
	switch r.URL.Query().Get("fragments") {
	case "", "false":
	case "true":
		list = st.disk.Holdings
	default:
		err = errors.Join(err, fmt.Errorf("fragments: %w: want true or false", vstack.ErrInvalid))
	}
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	page := wire.InventoryPage{Items: []wire.InventoryItem{}}
	items := list(after, limit)
	for _, info := range items {
		page.Items = append(page.Items, wire.InventoryItem{Chunk: info.ID, Piece: info.Piece, Size: info.Size, LSN: info.LSN})
	}
	if n := len(items); n >= limit && len(list(items[n-1].ID, 1)) > 0 {
		page.Next = items[n-1].ID.String()
	}
	writeJSON(w, http.StatusOK, page)
}

func inventoryQuery(r *http.Request) (after vstack.ChunkID, limit int, err error) {
	limit = inventoryPage
	q := r.URL.Query()
	if c := q.Get("cursor"); c != "" {
		if after, err = vstack.ParseChunkID(c); err != nil {
			return after, 0, fmt.Errorf("cursor: %w", err)
		}
	}
	if l := q.Get("limit"); l != "" {
		if limit, err = strconv.Atoi(l); err != nil || limit < 1 || limit > maxInventoryPage {
			return after, 0, fmt.Errorf("limit %q: %w: want 1 to %d", l[:min(len(l), 32)], vstack.ErrInvalid, maxInventoryPage)
		}
	}
	return after, limit, nil
}

func (st *store) serveScrub(w http.ResponseWriter, r *http.Request) {
	req, err := scrubRequest(w, r)
	if err == nil {
		err = st.loop.Scrub(req.Rate)
	}
	if err != nil {
		wire.WriteError(w, err)
		return
	}
	writeJSON(w, http.StatusAccepted, st.loop.ScrubStatus())
}

func (st *store) serveScrubStop(w http.ResponseWriter, _ *http.Request) {
	st.loop.StopScrub()
	writeJSON(w, http.StatusAccepted, st.loop.ScrubStatus())
}

func scrubRequest(w http.ResponseWriter, r *http.Request) (req wire.ScrubRequest, err error) {
	err = wire.ReadJSON(http.MaxBytesReader(w, r.Body, maxScrubBody), &req, false)
	switch {
	case errors.Is(err, io.EOF): // an empty body takes the defaults
		return req, nil
	case err != nil:
		return req, fmt.Errorf("scrub: %w: %v", vstack.ErrInvalid, err)
	case req.Rate < 0:
		return req, fmt.Errorf("scrub rate %d: %w: want bytes a second, or 0", req.Rate, vstack.ErrInvalid)
	}
	return req, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the peer may be gone; there is nobody else to tell
}
