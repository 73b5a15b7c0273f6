package vote

import (
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGuard(t *testing.T) {
	a, b := vstack.ChunkID{1}, vstack.ChunkID{2}
	both := []vstack.ChunkID{a, b}
	t.Run("drops nothing without a plan", func(t *testing.T) {
		drop, end := newGuard().begin(both)
		defer end()
		if len(drop) != 0 {
			t.Errorf("drops %d", len(drop))
		}
	})
	t.Run("spares what is pinned", func(t *testing.T) {
		g := newGuard()
		g.plan()
		g.pin(a)
		drop, end := g.begin(both)
		defer end()
		if len(drop) != 1 || drop[0] != b {
			t.Errorf("drops %v", drop)
		}
	})
	t.Run("spares what was pinned since the plan", func(t *testing.T) {
		g := newGuard()
		g.plan()
		g.pin(a)
		g.unpin(a)
		drop, end := g.begin(both)
		end()
		if len(drop) != 1 || drop[0] != b {
			t.Errorf("drops %v", drop)
		}
		g.plan()
		if drop, end := g.begin(both); len(drop) != 2 {
			t.Errorf("with a new plan drops %v", drop)
		} else {
			end()
		}
	})
	t.Run("spares what was pinned when the plan began", func(t *testing.T) {
		g := newGuard()
		g.pin(a)
		g.plan()
		g.unpin(a)
		drop, end := g.begin(both)
		defer end()
		if len(drop) != 1 || drop[0] != b {
			t.Errorf("drops %v", drop)
		}
	})
	t.Run("lets a pin wait for the drop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newGuard()
			g.plan()
			_, end := g.begin(both)
			pinned := false
			go func() { g.pin(a); pinned = true }()
			synctest.Wait()
			if pinned {
				t.Error("pinned during the drop")
			}
			end()
			synctest.Wait()
			if !pinned {
				t.Error("not pinned after the drop")
			}
		})
	})
}
