package sums

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/internal/sleep"
)

const (
	// every is how often each member is asked for its catalog's checksum.
	every = 20 * time.Millisecond
	// kept is how many indices back a checksum is known.
	kept = 4096
)

// Sums compares the catalogs of the members all the time.
type Sums struct {
	rec    *report.Recorder
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	told   map[uint64]sum       // by the index
	newest uint64               // index in told
	agreed map[string]time.Time // when a member was last found to agree with another
}

// sum is what a member said first of an index.
type sum struct{ member, checksum string }

// Ask is the catalog of the member at an address: its index and its checksum, which is empty
// where it has none yet.
type Ask func(ctx context.Context, member string) (index uint64, checksum string, err error)

// Compare begins to ask the members at these addresses. It is to be stopped.
func Compare(ctx context.Context, rec *report.Recorder, members []string, ask Ask) *Sums {
	ctx, cancel := context.WithCancel(ctx)
	c := &Sums{rec: rec, cancel: cancel, told: map[uint64]sum{}, agreed: map[string]time.Time{}}
	for _, addr := range members {
		c.agreed[addr] = time.Time{}
		c.wg.Go(func() {
			for sleep.For(ctx, every) {
				// What does not answer is no member now, or has no catalog yet.
				if index, checksum, err := ask(ctx, addr); err == nil && checksum != "" {
					c.add(addr, index, checksum)
				}
			}
		})
	}
	return c
}

// add compares what a member says with what others have said of the same index.
func (c *Sums) add(member string, index uint64, checksum string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, known := c.told[index]
	switch {
	case known && first.checksum != checksum:
		c.rec.Fail(report.ChecksumSplits, "at index %d the catalog of %s is %.12s, that of %s is %.12s", index, first.member, first.checksum, member, checksum)
	case known && first.member != member:
		now := time.Now()
		c.agreed[member], c.agreed[first.member] = now, now
		c.rec.Add(report.Checksums, 1)
	case !known:
		c.told[index] = sum{member, checksum}
		c.newest = max(c.newest, index)
		if len(c.told) > 2*kept {
			for i := range c.told {
				if i+kept < c.newest {
					delete(c.told, i)
				}
			}
		}
	}
}

// Await waits until every member was found to agree with another after a moment.
func (c *Sums) Await(ctx context.Context, after time.Time) error {
	for {
		late := c.late(after)
		if late == "" {
			return nil
		}
		if !sleep.For(ctx, every) {
			return fmt.Errorf("wait for the catalog of %s to be compared: %w", late, context.Cause(ctx))
		}
	}
}

// late is a member that was not compared after a moment; empty when all were.
func (c *Sums) late(after time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for member, at := range c.agreed {
		if !at.After(after) {
			return member
		}
	}
	return ""
}

// Stop ends it.
func (c *Sums) Stop() {
	c.cancel()
	c.wg.Wait()
}
