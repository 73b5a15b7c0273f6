package datanode

import (
	"os"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vstack"
)

// TestACopiedDirectoryIsNotServed has an operator copy a store's directory for a second one of
// the same host: the copy is left out, and the store goes on.
func TestACopiedDirectoryIsNotServed(t *testing.T) {
	c := newCluster(t, nil)
	n := c.nodes[0]
	n.stop()
	twin := n.dataDir() + "-twin"
	if err := os.CopyFS(twin, os.DirFS(n.dataDir())); err != nil {
		t.Fatal(err)
	}
	n.tune = func(cfg *Config) {
		cfg.Stores = append(cfg.Stores, StoreConfig{Dir: twin, Addr: "127.0.0.1:0"}, StoreConfig{Dir: n.dataDir() + "-new", Addr: "127.0.0.1:0"})
	}
	n.start()
	stores := n.server.Stores()
	if len(stores) != 2 || stores[0].ID == stores[1].ID {
		t.Fatalf("stores %+v", stores)
	}
	n.ready()
	u, data := c.open(), random(1000)
	if r, ok := n.send(c.accept(u, 1, data), data).(message.Accepted); !ok || r.Value.Chunk != vstack.ChunkIDOf(data) {
		t.Errorf("answer %+v", r)
	}
}
