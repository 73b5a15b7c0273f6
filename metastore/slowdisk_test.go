package metastore

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// lazyLog is a disk that takes its time while it is told to.
type lazyLog struct {
	disk.Store
	slow *atomic.Bool
}

func (l lazyLog) StoreLogs(logs []*raft.Log) error {
	if l.slow.Load() {
		time.Sleep(2 * disk.SlowWrite) // the fault itself
	}
	return l.Store.StoreLogs(logs)
}

func (m *member) handovers(t *testing.T) (n float64) {
	t.Helper()
	families, err := m.cfg.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "vstack_metastore_disk_handovers_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("the hand-overs are not counted")
	return 0
}

func TestALeaderWithASlowDiskHandsOver(t *testing.T) {
	t.Parallel()
	disks := map[string]*atomic.Bool{"h1": {}, "h2": {}, "h3": {}}
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.WrapLog = func(s disk.Store) disk.Store { return lazyLog{s, disks[cfg.ID]} }
	})
	c.register()
	cl := c.client()
	l := startLoad(t, cl)
	lead := c.leader()
	disks[c.peers[lead].ID].Store(true)
	c.eventually("leadership to be handed over", func() bool { return c.members[lead].handovers(t) > 0 })
	c.eventually("another leader", func() bool {
		for i, m := range c.members {
			if i != lead && m.Leading() {
				return true
			}
		}
		return false
	})
	l.mu.Lock()
	before := len(l.acked)
	l.mu.Unlock()
	c.eventually("writes to go on, though the slow disk is there still", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acked) >= before+10
	})
	l.stop(cl)
	for i, m := range c.members {
		if n := m.handovers(t); i != lead && n > 0 {
			t.Errorf("member %d, whose disk is good, handed over %.0f times", i, n)
		}
	}
	sameChecksum(t, c)
}
