package metastore

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/vstack/vstack/internal/wire"
)

// A look at the placement of a large cluster takes tens of milliseconds, and most commands
// change nothing of what it reads.
func TestCommandsThatChangeNoPlacementCauseNoLook(t *testing.T) {
	t.Parallel()
	const tick = time.Second
	c := newCluster(t, 1, func(cfg *Config) { cfg.Tick, cfg.SuspectAfter, cfg.DownAfter = tick, time.Minute, time.Minute })
	c.register()
	ctx := t.Context()
	cl := c.client()
	v, _, err := publish(ctx, cl, "film", 1)
	if err != nil {
		t.Fatal(err)
	}
	m := c.members[0]
	looks := func() float64 { return testutil.ToFloat64(m.epochs.Looks()) }
	// The placement and the first upload are news; of the commits one by one each would be.
	before, began := looks(), time.Now()
	if before == 0 {
		t.Error("no look at a placement that was assigned")
	}
	const commands = 60
	for n := range commands {
		title := fmt.Sprint(n)
		if _, err := cl.PatchVideo(ctx, v.ID, wire.VideoPatch{Title: &title}); err != nil {
			t.Fatal(err)
		}
	}
	ticks := float64(time.Since(began)/tick) + 2
	if n := looks() - before; n > ticks {
		t.Errorf("%v looks in %v ticks, for %d commands that changed titles", n, ticks, commands)
	}
}
