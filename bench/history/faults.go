package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/link"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/sleep"
)

// The kinds of faults, as the report counts them.
const (
	faultKill    = "hosts killed"
	faultPause   = "hosts stopped"
	faultCut     = "links cut both ways"
	faultOneWay  = "links cut one way"
	faultReset   = "links reset"
	faultHostCut = "hosts cut off both ways"
	faultHostOne = "hosts cut off one way"
	faultClient  = "clients killed"
	faultResumed = "uploads resumed elsewhere"
)

// faults breaks hosts and links at random for a while.
type faults struct {
	lab   *lab.Lab
	lanes []*lane

	mu     sync.Mutex // guards counts
	counts map[string]int
}

func (f *faults) count(kind string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[kind] += n
}

// run breaks things for d, hosts and links at the same time, and mends everything
// before it returns.
func (f *faults) run(ctx context.Context, rng *rand.Rand, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	hosts, ways := rand.New(rand.NewPCG(rng.Uint64(), 1)), rand.New(rand.NewPCG(rng.Uint64(), 2))
	var wg sync.WaitGroup
	var cutErr error
	wg.Go(func() {
		for ctx.Err() == nil && cutErr == nil {
			if f.lab.Net != nil { // else links are cut
				cutErr = f.cutHost(ctx, ways)
			} else {
				cutErr = f.breakLinks(ctx, ways)
			}
		}
	})
	var errs []error
	for ctx.Err() == nil {
		if err := f.breakHosts(ctx, hosts); err != nil {
			errs = append(errs, err)
			break
		}
	}
	cancel()
	wg.Wait()
	return errors.Join(append(errs, cutErr)...)
}

// cutHost drops the packets of one host, both ways or one way, for a while: those of
// everybody, of another host, or of the clients.
func (f *faults) cutHost(ctx context.Context, rng *rand.Rand) error {
	sleep.For(ctx, draw(rng, 50*time.Millisecond, 500*time.Millisecond))
	if ctx.Err() != nil {
		return nil
	}
	victim := rng.IntN(len(f.lab.Hosts))
	hosts := f.lab.Others(victim)
	var from []netip.Addr
	switch rng.IntN(4) {
	case 0:
		from = []netip.Addr{f.lab.Net.Self()}
	case 1:
		from = hosts[:1]
	case 2:
		from = hosts
	default:
		from = append(hosts, f.lab.Net.Self())
	}
	sends, receives, kind := true, true, faultHostCut
	if way := rng.IntN(3); way > 0 {
		sends, receives, kind = way == 1, way == 2, faultHostOne
	}
	f.count(kind, 1)
	// The cut is mended however the round ends.
	if err := f.lab.Net.Cut(context.WithoutCancel(ctx), victim, sends, receives, from...); err != nil {
		return fmt.Errorf("cut host %d off: %w", victim+1, err)
	}
	sleep.For(ctx, draw(rng, 100*time.Millisecond, 1500*time.Millisecond))
	if err := f.lab.Net.Heal(context.WithoutCancel(ctx), victim); err != nil {
		return fmt.Errorf("heal the cut of host %d: %w", victim+1, err)
	}
	return nil
}

// draw is a duration between min and max.
func draw(rng *rand.Rand, min, max time.Duration) time.Duration {
	return min + time.Duration(rng.Int64N(int64(max-min)))
}

// breakHosts kills or stops one host, or two, or all, for a while.
func (f *faults) breakHosts(ctx context.Context, rng *rand.Rand) error {
	sleep.For(ctx, draw(rng, 100*time.Millisecond, 800*time.Millisecond))
	if ctx.Err() != nil {
		return nil
	}
	n := 1
	switch r := rng.IntN(20); {
	case r == 0:
		n = len(f.lab.Hosts)
	case r < 5:
		n = 2
	}
	var victims []*deploy.Host
	for _, i := range rng.Perm(len(f.lab.Hosts))[:n] {
		victims = append(victims, f.lab.Hosts[i])
	}
	if rng.IntN(2) == 0 {
		f.count(faultPause, n)
		var errs []error
		for _, h := range victims {
			errs = append(errs, h.Pause())
		}
		sleep.For(ctx, draw(rng, 100*time.Millisecond, 1500*time.Millisecond))
		for _, h := range victims {
			errs = append(errs, h.Resume())
		}
		return errors.Join(errs...)
	}
	f.count(faultKill, n)
	for _, h := range victims {
		if err := h.Kill(); err != nil {
			return fmt.Errorf("kill host: %w", err)
		}
	}
	sleep.For(ctx, draw(rng, 50*time.Millisecond, 1000*time.Millisecond))
	for _, h := range victims {
		if err := h.Start(); err != nil {
			return err
		}
	}
	return nil
}

// breakLinks cuts some clients off from a host, both ways or one way, for a while.
func (f *faults) breakLinks(ctx context.Context, rng *rand.Rand) error {
	sleep.For(ctx, draw(rng, 50*time.Millisecond, 500*time.Millisecond))
	if ctx.Err() != nil {
		return nil
	}
	share := []float64{0.15, 0.5, 1}[rng.IntN(3)]
	up, down := true, true
	switch rng.IntN(3) {
	case 0:
		up = false
	case 1:
		down = false
	}
	var chosen []*link.Relay
	for _, h := range f.lab.Hosts {
		if rng.IntN(2) == 0 {
			continue
		}
		for _, ln := range f.lanes {
			for _, p := range ln.all() {
				if rng.Float64() < share {
					chosen = append(chosen, p.links.to(h.Addr())...)
				}
			}
		}
	}
	kind := faultCut
	if !up || !down {
		kind = faultOneWay
	}
	f.count(kind, len(chosen))
	var errs []error
	for _, l := range chosen {
		errs = append(errs, cut(l, up, down))
	}
	sleep.For(ctx, draw(rng, 50*time.Millisecond, 1200*time.Millisecond))
	reset := rng.IntN(2) == 0
	if reset {
		f.count(faultReset, len(chosen))
	}
	for _, l := range chosen {
		errs = append(errs, heal(l, reset))
	}
	return errors.Join(errs...)
}
