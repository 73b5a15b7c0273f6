package raftnode

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A leader whose log cannot be written any more ends, another leads, and holds all that
// was acknowledged.
func TestALeaderWhoseDiskFailsIsReplaced(t *testing.T) {
	t.Run("with an input/output error", func(t *testing.T) {
		g := newGroup(t, 3)
		replaceBrokenLeader(t, g, g.startChild(t, filepath.Join(g.dir, "h3")), "eio")
	})
	t.Run("because it is full", func(t *testing.T) {
		g := newGroup(t, 3)
		dir := t.TempDir()
		if err := syscall.Mount("vstack-test", dir, "tmpfs", 0, "size=2m"); err != nil {
			t.Skipf("SKIPPED: a small file system cannot be mounted here, so the full disk is NOT tested: %v", err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
		replaceBrokenLeader(t, g, g.startChild(t, dir), "fill")
	})
}

func replaceBrokenLeader(t *testing.T, g *group, c *childProcess, command string) {
	t.Helper()
	c.tell(command)
	ended := make(chan int, 1)
	go func() { ended <- c.ends() }()
	acked := 0
	for done := false; !done; {
		select {
		case acked = <-ended:
			done = true
		case <-time.After(20 * time.Millisecond):
			for _, n := range g.nodes[:2] { // it has to lead to have its disk written
				if _, leads := n.Leading(); leads {
					_ = n.Transfer("h3")
				}
			}
		}
	}
	start := time.Now()
	lead := g.leader()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("another leader only after %s", d)
	}
	g.apply("y")
	if n := g.fsms[lead].count(); acked == 0 || n < acked+1 {
		t.Errorf("%d writes were acknowledged before, the new leader has %d", acked, n-1)
	}
	t.Logf("%d writes of 64 KiB were acknowledged before the disk failed", acked)
}
