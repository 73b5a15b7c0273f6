package datanode

import (
	"fmt"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/vfs"
)

// sharers says of each store how many stores of this process take from the same free space:
// those on its file system that have no bound of their own, itself included.
func sharers(fsys vfs.FS, stores []StoreConfig) ([]int64, error) {
	devices := make([]uint64, len(stores))
	unbounded := map[uint64]int64{}
	for i, s := range stores {
		dev, err := fsys.Device(s.Dir)
		if err != nil {
			return nil, fmt.Errorf("find disk of store %s: %w", s.Dir, err)
		}
		devices[i] = dev
		if s.Capacity == 0 {
			unbounded[dev]++
		}
	}
	out := make([]int64, len(stores))
	for i, dev := range devices {
		out[i] = max(1, unbounded[dev])
	}
	return out, nil
}

// capacity is what the store tells the catalog that it may use. Stores without a bound that
// share a disk tell a part of its free space each, so that a host's stores add up to what
// its disks have; what a store takes is bounded by the disk alone.
func (st *store) capacity(stats superblock.Stats) int64 {
	if st.cfg.Capacity > 0 || st.sharers < 2 {
		return stats.Capacity
	}
	return stats.Used + max(0, stats.Capacity-stats.Used)/st.sharers
}

// free is the store's part of what chunks may still take.
func (st *store) free(stats superblock.Stats) int64 {
	if st.cfg.Capacity > 0 || st.sharers < 2 {
		return max(0, stats.Free)
	}
	return max(0, stats.Free) / st.sharers
}
