package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// holding is a catalog of one video, and stores that hold some of its chunks.
type holding struct {
	manifest vstack.Manifest
	m        vstack.PlacementMap
}

func (h *holding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var out any
	switch {
	case strings.HasSuffix(r.URL.Path, "/manifest"):
		out = h.manifest
	case r.URL.Path == "/v1/videos":
		out = wire.List[vstack.Video]{Items: []vstack.Video{{ID: h.manifest.Video, State: vstack.VideoPublished}}}
	default:
		out = h.m
	}
	_ = json.NewEncoder(w).Encode(out)
}

// storing answers inventories of the given chunks, two a page.
func storing(t *testing.T, items ...wire.InventoryItem) *httptest.Server {
	t.Helper()
	slices.SortFunc(items, func(a, b wire.InventoryItem) int { return strings.Compare(a.Chunk.String(), b.Chunk.String()) })
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := wire.InventoryPage{Items: []wire.InventoryItem{}}
		for _, i := range items {
			if i.Chunk.String() <= r.URL.Query().Get("cursor") {
				continue
			}
			if len(page.Items) == 2 {
				page.Next = page.Items[1].Chunk.String()
				break
			}
			page.Items = append(page.Items, i)
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestHeldFindsWhatNoStoreHas(t *testing.T) {
	chunk := func(n byte) wire.InventoryItem { return wire.InventoryItem{Chunk: vstack.ChunkID{n}, Size: 10} }
	short := chunk(3)
	short.Size = 9
	stores := []*httptest.Server{
		storing(t, chunk(1), chunk(2), chunk(3), chunk(4), chunk(9)),
		storing(t, chunk(1), chunk(2), short),
		storing(t, chunk(1)),
	}
	h := &holding{manifest: vstack.Manifest{Version: 1, Video: vstack.VideoID{7}, Tracks: []vstack.Track{{Number: 1, Kind: vstack.TrackVideo, Init: vstack.ChunkRef{ID: vstack.ChunkID{1}, Size: 10}}}}}
	for seq := range 5 { // 1 to 5, and the first fills two slots
		h.manifest.Tracks[0].Chunks = append(h.manifest.Tracks[0].Chunks, vstack.ChunkRef{Seq: uint32(seq + 1), ID: vstack.ChunkID{byte(seq + 1)}, Size: 10})
	}
	for range vstack.PlacementGroups {
		h.m.Groups = append(h.m.Groups, vstack.PGTargets{Epoch: 1, Targets: []vstack.StoreID{{1}, {2}, {3}}})
	}
	for i, s := range stores {
		h.m.Stores = append(h.m.Stores, vstack.Store{ID: vstack.StoreID{byte(i + 1)}, Addr: strings.TrimPrefix(s.URL, "https://")})
	}
	c := asking(t, h)
	c.web = newWeb(stores[0].Client().Transport.(*http.Transport).TLSClientConfig) // the test servers share a certificate
	defer c.web.Close()
	prog := console.NewProgress(console.ProgressNone, nil)
	defer prog.Close()
	r, err := c.Held(t.Context(), prog)
	if err != nil {
		t.Fatal(err)
	}
	if r.Videos != 1 || r.Chunks != 5 || r.Stores != 3 || r.Lost != 1 || r.Few != 4 || !slices.Equal(r.ByCopies, []int{1, 2, 1, 1}) || len(r.Silent) != 0 {
		t.Errorf("%+v", r)
	}
	if i := slices.IndexFunc(r.Missing, func(m MissingChunk) bool { return m.Copies == 0 }); i < 0 || r.Missing[i].Chunk != (vstack.ChunkID{5}) || r.Missing[i].Slot.Video != h.manifest.Video {
		t.Errorf("missing %+v", r.Missing)
	}
	stores[2].Close()
	if r, err = c.Held(t.Context(), prog); err != nil || r.Stores != 2 || len(r.Silent) != 1 {
		t.Errorf("with a store that is gone: %+v, %v", r, err)
	}
}
