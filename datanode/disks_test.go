package datanode

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vfs"
)

// twoDisks is a file system whose directories "/b…" are on a disk of their own.
type twoDisks struct{ vfs.FS }

func (twoDisks) Device(dir string) (uint64, error) {
	if filepath.Base(dir)[0] == 'b' {
		return 2, nil
	}
	return 1, nil
}

func TestADiskThatStoresShareIsCountedOnce(t *testing.T) {
	stores := []StoreConfig{{Dir: "/a1"}, {Dir: "/a2"}, {Dir: "/a3", Capacity: 50}, {Dir: "/b1"}}
	shares, err := sharers(twoDisks{}, stores)
	if err != nil || !slices.Equal(shares, []int64{2, 2, 2, 1}) {
		t.Fatalf("shares %v, %v", shares, err)
	}
	// Disk 1 has 1,000 bytes free, disk 2 has 600; the stores use 100, 300, 20 and 400.
	var sum int64
	for i, stats := range []superblock.Stats{{Used: 100, Capacity: 1100}, {Used: 300, Capacity: 1300}, {Used: 20, Capacity: 50}, {Used: 400, Capacity: 1000}} {
		st := &store{cfg: stores[i], sharers: shares[i]}
		sum += st.capacity(stats)
	}
	if want := int64(100 + 300 + 1000 + 50 + 400 + 600); sum != want {
		t.Errorf("the host tells %d bytes, want %d", sum, want)
	}
}
