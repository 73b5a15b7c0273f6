package catalog

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// TestASnapshotOfTheFirstLevelRestores takes one that cc9200c wrote, with the checksum that
// it had there, on through a raise: a member that is upgraded has nothing else to start from.
func TestASnapshotOfTheFirstLevelRestores(t *testing.T) {
	b, err := os.ReadFile("testdata/cc9200c.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	c := newCatalog(t)
	if err := c.Restore(io.NopCloser(bytes.NewReader(b))); err != nil {
		t.Fatal(err)
	}
	const sum = "1fec25c727099dc71f0fbc1f0f49dc05f9f210ada7b3df6a9f41f62f6f394229"
	if got := checksum(t, c); got != sum || c.View().Level() != vstack.LevelFirst {
		t.Errorf("checksum %s at level %d, want %s as cc9200c had it", got, c.View().Level(), sum)
	}
	if again := snapshotOf(t, c); !bytes.Equal(again, b) {
		t.Error("it is not written again as it was")
	}
	if m, _, err := c.View().Manifest(video(2)); err != nil || len(m.Tracks[0].Chunks) != 3 {
		t.Errorf("its film: %+v, %v", m, err)
	}
	d := &driver{t: t, c: c, index: c.View().Applied()}
	d.raise(vstack.LevelFormats)
	restored := newCatalog(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, c)))); err != nil {
		t.Fatal(err)
	}
	if got := checksum(t, restored); got != checksum(t, c) {
		t.Error("a member that restores after the raise has another checksum")
	}
}
