package datanode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// cold is five stores of which each holds its fragment of a chunk, and none the chunk.
type cold struct {
	*cluster
	data  []byte
	value vstack.Value
	right [][]byte
}

func newCold(t *testing.T) *cold {
	// What the tests lay out stays as it is: the loops look once, at the start.
	c := &cold{cluster: newClusterOf(t, []string{"h1", "h2", "h3", "h4", "h5"}, func(cfg *Config) { cfg.Settle = time.Hour }), data: random(700_001)}
	c.meta.set(func() { c.meta.level = vstack.LevelFragments })
	for _, n := range c.nodes {
		waitFor(t, func() bool { return formatOf(t, n) == 3 })
	}
	u := c.open()
	ref := c.put(u, 1, c.data, c.nodes[:3]...)
	c.publish(u, ref)
	c.value = vstack.Value{Chunk: ref.ID, Size: ref.Size}
	codec, err := erasure.New(vstack.DefaultScheme)
	if err == nil {
		c.right, err = codec.Encode(c.data)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range c.nodes {
		n.append(c.fragment(i, c.right[i]), superblock.Record{Kind: superblock.KindDrop, Value: vstack.Value{Chunk: ref.ID}})
		n.ready()
	}
	return c
}

func (c *cold) fragment(i int, data []byte) superblock.Record {
	return superblock.Record{Kind: superblock.KindFragment, Value: c.value, Data: data, Leaves: vstack.LeavesOf(c.data),
		Piece: vstack.Piece{Scheme: vstack.DefaultScheme, I: uint8(i)}}
}

func (n *node) append(recs ...superblock.Record) {
	n.c.t.Helper()
	if _, err := n.server.stores[0].disk.Append(context.Background(), recs...); err != nil {
		n.c.t.Fatal(err)
	}
}

func (c *cold) path(suffix string) string { return wire.PathChunks + c.value.Chunk.String() + suffix }

func TestAColdChunkIsServedWholeByEveryStore(t *testing.T) {
	c := newCold(t)
	for i, n := range c.nodes {
		resp, body := n.get(c.path(""), map[string]string{wire.HeaderLeaves: "?"})
		timing, _ := wire.ParseServerTiming(resp.Header.Get(wire.HeaderServerTiming))
		if resp.StatusCode != http.StatusOK || !bytes.Equal(body, c.data) || timing.Decode <= 0 || resp.Header.Get("ETag") != `"`+c.value.Chunk.String()+`"` ||
			resp.Header.Get(wire.HeaderLeaves) != vstack.LeavesOf(c.data).String() {
			t.Errorf("store %d: %s, %d bytes, header %v", i, resp.Status, len(body), resp.Header)
		}
		resp, body = n.get(c.path(""), map[string]string{"Range": "bytes=65530-199999"})
		if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, c.data[65530:200_000]) || resp.Header.Get("Content-Range") != "bytes 65530-199999/700001" {
			t.Errorf("store %d, a range: %s, %d bytes", i, resp.Status, len(body))
		}
		resp, _ = n.get(c.path(""), map[string]string{wire.HeaderFragments: "?"})
		if held := resp.Header.Get(wire.HeaderFragments); resp.StatusCode != http.StatusNotFound || held != "3+2/"+strconv.Itoa(i) {
			t.Errorf("store %d, a reader that joins: %s, holds %q", i, resp.Status, held)
		}
		if resp, _ := n.get(c.path(""), map[string]string{"If-None-Match": `"` + c.value.Chunk.String() + `"`}); resp.StatusCode != http.StatusNotModified {
			t.Errorf("store %d, one that has it: %s", i, resp.Status)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodHead, "https://"+c.nodes[4].addr+c.path(""), nil)
	resp, err := c.client.Do(req)
	if err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK || resp.ContentLength != 700_001 {
		t.Errorf("HEAD: %+v, %v", resp, err)
	}
	if resp, _ := c.nodes[0].get(wire.PathChunks+vstack.ChunkIDOf([]byte("x")).String(), nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a chunk that is nowhere: %s", resp.Status)
	}
}

func TestAnyTwoStoresMayBeLost(t *testing.T) {
	c := newCold(t)
	c.nodes[1].stop()
	c.nodes[4].stop()
	for _, i := range []int{0, 2, 3} {
		if resp, body := c.nodes[i].get(c.path(""), nil); resp.StatusCode != http.StatusOK || !bytes.Equal(body, c.data) {
			t.Errorf("store %d: %s, %d bytes", i, resp.Status, len(body))
		}
	}
	c.nodes[3].stop()
	for _, i := range []int{0, 2} { // they have it in memory
		if resp, _ := c.nodes[i].get(c.path(""), nil); resp.StatusCode != http.StatusOK {
			t.Errorf("store %d, which made it before: %s", i, resp.Status)
		}
	}
	c.nodes[0].server.decoding.Close()
}

func TestFragmentsAreServedAsTheyAreAndOfTheChunk(t *testing.T) {
	c := newCold(t)
	for i, n := range c.nodes {
		path := c.path("/fragments/3+2/" + strconv.Itoa(i))
		resp, body := n.get(path, map[string]string{wire.HeaderLeaves: "?"})
		if resp.StatusCode != http.StatusOK || !bytes.Equal(body, c.right[i]) || resp.Header.Get("Cache-Control") != "no-store" ||
			resp.Header.Get(wire.HeaderLeaves) != vstack.LeavesOf(c.data).String() || !strings.Contains(resp.Header.Get("ETag"), "/3+2/"+strconv.Itoa(i)) {
			t.Errorf("fragment %d: %s, %d bytes, %v", i, resp.Status, len(body), resp.Header)
		}
		row := vstack.DefaultScheme.Row(c.value.Size, 1)
		resp, body = n.get(path, map[string]string{"Range": "bytes=65536-131071"})
		if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, c.right[i][row.At:row.At+row.Width]) {
			t.Errorf("a row of fragment %d: %s, %d bytes", i, resp.Status, len(body))
		}
		resp, _ = n.get(c.path("/fragments/3+2/"+strconv.Itoa((i+1)%5)), nil)
		if resp.StatusCode != http.StatusNotFound || resp.Header.Get(wire.HeaderFragments) != "3+2/"+strconv.Itoa(i) {
			t.Errorf("another fragment of store %d: %s, holds %q", i, resp.Status, resp.Header.Get(wire.HeaderFragments))
		}
	}
	// A store that holds the chunk makes any fragment, in any scheme, and joins none.
	n := c.nodes[2]
	n.append(superblock.Record{Kind: superblock.KindChunk, Value: c.value, Data: c.data})
	for i, want := range c.right {
		if resp, body := n.get(c.path("/fragments/3+2/"+strconv.Itoa(i)), nil); resp.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
			t.Errorf("fragment %d of the chunk: %s", i, resp.Status)
		}
	}
	for path, want := range map[string]int{"/fragments/3+2/5": 400, "/fragments/3+2/x": 400, "/fragments/0+2/0": 400, "/fragments/4+2/5": 200, "/fragments/3+2": 404} {
		if resp, _ := n.get(c.path(path), nil); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, resp.Status, want)
		}
	}
}

// TestRotInAFragmentCostsNoRead: neither rot that a checksum shows nor rot that none does.
// The store that holds it gives it up, and makes it anew of the others.
func TestRotInAFragmentCostsNoRead(t *testing.T) {
	c := newCold(t)
	wrong := bytes.Clone(c.right[0])
	wrong[100_000] ^= 8
	c.nodes[0].append(c.fragment(0, wrong)) // its checksums are right
	for i, n := range c.nodes {
		if resp, body := n.get(c.path(""), nil); resp.StatusCode != http.StatusOK || !bytes.Equal(body, c.data) {
			t.Errorf("store %d: %s", i, resp.Status)
		}
	}
	n := c.nodes[0]
	path := c.path("/fragments/3+2/0")
	if resp, _ := n.get(path, nil); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("the rotten fragment: %s", resp.Status)
	}
	st := n.server.stores[0]
	data, leaves, err := st.rebuilder.Fragment(t.Context(), c.value, c.fragment(0, nil).Piece)
	if err != nil {
		t.Fatal(err)
	}
	rec := c.fragment(0, data)
	rec.Leaves = leaves
	n.append(rec)
	if resp, body := n.get(path, nil); resp.StatusCode != http.StatusOK || !bytes.Equal(body, c.right[0]) {
		t.Errorf("the fragment that was made anew: %s", resp.Status)
	}
}

// TestAStoreOfFragmentsAloneIsNoNewStore: without its note it takes itself to have been in
// every group, or it would drop what it holds of those that it has left.
func TestAStoreOfFragmentsAloneIsNoNewStore(t *testing.T) {
	dir := t.TempDir()
	disk, err := superblock.Open(t.Context(), superblock.Config{Dir: dir, SuperblockSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c := &cold{data: random(10_000)}
	c.value = vstack.Value{Chunk: vstack.ChunkIDOf(c.data), Size: 10_000}
	if err = disk.Upgrade(t.Context(), format.V3); err == nil {
		_, err = disk.Append(t.Context(), c.fragment(1, random(3334)))
	}
	if err = errors.Join(err, disk.Close()); err != nil {
		t.Fatal(err)
	}
	st, err := openDisk(t.Context(), &Server{cfg: Config{FS: vfs.OS{}, Logger: testLogger(), Registry: prometheus.NewRegistry(), SuperblockSize: 1 << 20}}, StoreConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer st.disk.Close() //nolint:errcheck // it was only read
	if known := st.past.Known(); !known[0] || !known[vstack.PlacementGroups-1] {
		t.Errorf("knows %d groups only", len(list(known)))
	}
}

// TestAScrubFindsWhatNoChecksumShows: a fragment that was stored wrong is condemned by a
// scrub that nobody's read came before.
func TestAScrubFindsWhatNoChecksumShows(t *testing.T) {
	c := newCold(t)
	wrong := bytes.Clone(c.right[4])
	wrong[5] ^= 1
	n := c.nodes[4]
	n.append(c.fragment(4, wrong))
	if err := n.server.stores[0].loop.Scrub(1 << 30); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { s := n.status().Scrub; return s.Passes == 1 && !s.Running && s.Corrupt == 1 })
	if info, ok := n.server.stores[0].disk.LookupPiece(c.value.Chunk, c.fragment(4, nil).Piece); ok || !info.Bad {
		t.Errorf("the fragment is %+v", info)
	}
	other := c.nodes[3]
	if err := other.server.stores[0].loop.Scrub(1 << 30); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { s := other.status().Scrub; return s.Passes == 1 && !s.Running && s.Corrupt == 0 })
}

func TestTheInventoryNamesFragments(t *testing.T) {
	c := newCold(t)
	n := c.nodes[2]
	n.append(superblock.Record{Kind: superblock.KindChunk, Value: c.value, Data: c.data})
	var page wire.InventoryPage
	_, body := n.get("/v1/inventory?fragments=true", nil)
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 2 || !page.Items[0].Piece.IsChunk() || page.Items[1].Piece != c.fragment(2, nil).Piece || page.Items[1].Size != c.value.Size || page.Next != "" {
		t.Errorf("with fragments: %+v", page)
	}
	_, body = n.get("/v1/inventory", nil)
	if strings.Contains(string(body), "3+2") || strings.Count(string(body), `"chunk"`) != 1 {
		t.Errorf("without: %s", body)
	}
	if resp, _ := n.get("/v1/inventory?fragments=x", nil); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("fragments=x: %s", resp.Status)
	}
}
