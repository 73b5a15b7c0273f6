package datanode

import (
	"net/http"
	"os"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// putLeaves PUTs a chunk with a leaf table, as setLeaves of a writer does.
func (n *node) putLeaves(m message.Accept, data []byte, table string) *http.Response {
	n.c.t.Helper()
	req, err := wire.NewPaxosRequest(n.c.t.Context(), "https://"+n.addr, m, 0, data)
	if err != nil {
		n.c.t.Fatal(err)
	}
	req.Header.Set(wire.HeaderLeaves, table)
	resp, err := n.c.client.Do(req)
	if err != nil {
		n.c.t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// formatOf is the format version in a store's identity file.
func formatOf(t *testing.T, n *node) byte {
	t.Helper()
	b, err := os.ReadFile(n.dataDir() + "/STORE")
	if err != nil {
		t.Fatal(err)
	}
	return b[8]
}

// TestALeafTableIsKeptFromItsLevelOn: below the level a PUT with a table is taken and the
// table made when somebody asks; from the level on it is the one that came.
func TestALeafTableIsKeptFromItsLevelOn(t *testing.T) {
	c := newCluster(t, nil)
	n := c.nodes[0]
	ask := func(id vstack.ChunkID, query string) string {
		t.Helper()
		resp, _ := n.get(wire.PathChunks+id.String()+query, map[string]string{wire.HeaderLeaves: "?", "Range": "bytes=0-9"})
		if resp.StatusCode != http.StatusPartialContent {
			t.Fatalf("answered %s", resp.Status)
		}
		return resp.Header.Get(wire.HeaderLeaves)
	}
	u := c.open()
	// A table that is not the chunk's tells where an answer comes from.
	other := vstack.LeavesOf(random(150_001)).String()
	early, late := random(150_002), random(150_003)
	early[0], late[0] = 1, 2
	if resp := n.putLeaves(c.accept(u, 1, early), early, other); resp.StatusCode != http.StatusOK {
		t.Fatalf("a PUT with a table below the level: %s", resp.Status)
	}
	c.meta.set(func() { c.meta.level = vstack.LevelFormats })
	waitFor(t, func() bool { return formatOf(t, n) == 2 })
	if resp := n.putLeaves(c.accept(u, 2, late), late, other); resp.StatusCode != http.StatusOK {
		t.Fatalf("a PUT with a table: %s", resp.Status)
	}
	if got, want := ask(vstack.ChunkIDOf(early), ""), vstack.LeavesOf(early).String(); got != want {
		t.Errorf("of a chunk without a table: %.40s…, want %.40s…", got, want)
	}
	if got := ask(vstack.ChunkIDOf(late), ""); got != other {
		t.Errorf("of a chunk with a table: %.40s…, want the one that came, %.40s…", got, other)
	}
	if got, want := ask(vstack.ChunkIDOf(late), "?leaves=fresh"), vstack.LeavesOf(late).String(); got != want {
		t.Errorf("made anew: %.40s…, want %.40s…", got, want)
	}
	if resp := n.putLeaves(c.accept(u, 3, early), early, other+"A"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a PUT with what is no table: %s", resp.Status)
	}
}
