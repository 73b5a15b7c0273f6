package host

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryLook is how often the process's memory is looked at.
	memoryLook = 10 * time.Second
	// quietBelow is how much is allocated between two looks where a peak is over: heartbeats,
	// pages of the feed and some requests. A collection would disturb a busy host.
	quietBelow = 64 << 20
	// worthGiving is how much more than the last time makes it worth a collection.
	worthGiving = 64 << 20
)

// giver decides when the memory of a peak is given back to the system. The runtime would keep
// most of it: it collects when as much again was allocated, which after a peak is much, and
// gives back what is left of that slowly.
type giver struct {
	allocated uint64 // at the last look
	left      uint64 // resident after the last time
}

// look is told what the process has allocated since its start and what it has of the system
// now, and reports whether to give memory back.
func (g *giver) look(allocated, resident uint64) bool {
	quiet := allocated-g.allocated < quietBelow
	g.allocated = allocated
	g.left = min(g.left, resident)
	return quiet && resident-g.left > worthGiving
}

// addMemory adds what gives memory back.
func (h *host) addMemory() {
	h.parts = append(h.parts, part{name: "memory", run: func(ctx context.Context) error {
		tick := time.NewTicker(memoryLook)
		defer tick.Stop()
		g := &giver{}
		g.allocated, g.left = memory()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			if g.look(memory()) {
				debug.FreeOSMemory()
				_, g.left = memory()
			}
		}
	}})
}

// memory is what was allocated since the start, and what the runtime has of the system now.
func memory() (allocated, resident uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64() - s[2].Value.Uint64()
}
