package chunkpaxos

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/soak"
)

// exploration is a run over every state of a bound.
type exploration struct {
	b     *bound
	seen  fingerprints
	limit int

	mu     sync.Mutex
	cond   *sync.Cond
	shared []*xstate
	idle   int
	states int
	steps  int
	err    error
	trace  string
}

// explore visits every reachable state, or stops at limit states; 0 is no limit.
func explore(b bound, limit int) (*exploration, error) {
	x := &exploration{b: &b, limit: limit}
	x.cond = sync.NewCond(&x.mu)
	first, err := b.initial(newMemo(&b))
	if err != nil {
		return nil, err
	}
	x.seen.add(first.fingerprint())
	x.shared, x.states = []*xstate{first}, 1
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for range workers {
		wg.Go(func() { x.work(workers) })
	}
	wg.Wait()
	return x, nil
}

func (x *exploration) work(workers int) {
	var stack []*xstate
	m := newMemo(x.b)
	states, steps := 0, 0
	for {
		if len(stack) == 0 || len(stack) > 64 && x.hungry() || states > 10_000 {
			var more bool
			if stack, more = x.exchange(stack, workers, states, steps); !more {
				return
			}
			states, steps = 0, 0
		}
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		s.successors(m, func(n *xstate, err error) {
			steps++
			switch {
			case err != nil:
				x.stop(n, err)
			case x.seen.add(n.fingerprint()):
				states++
				stack = append(stack, n)
			}
		})
	}
}

func (x *exploration) hungry() bool {
	if !x.mu.TryLock() {
		return false
	}
	defer x.mu.Unlock()
	return x.idle > 0
}

func (x *exploration) stop(n *xstate, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err == nil {
		x.err, x.trace = err, n.trace()
	}
}

// exchange hands half of a stack to who has none, and waits for work if it is empty.
func (x *exploration) exchange(stack []*xstate, workers, states, steps int) ([]*xstate, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.states, x.steps = x.states+states, x.steps+steps
	over := func() bool { return x.err != nil || x.limit > 0 && x.states >= x.limit }
	if len(stack) > 0 && !over() {
		if x.idle > 0 && len(stack) > 1 {
			half := len(stack) / 2 // the oldest have most below them
			x.shared = append(x.shared, stack[:half]...)
			stack = slices.Clone(stack[half:])
			x.cond.Broadcast()
		}
		return stack, true
	}
	x.idle++
	for len(x.shared) == 0 && x.idle < workers && !over() {
		x.cond.Wait()
	}
	if over() || len(x.shared) == 0 {
		x.cond.Broadcast()
		return nil, false
	}
	x.idle--
	stack, x.shared = x.shared, nil
	return stack, true
}

// statesCap is how many states of one bound are kept, at 11 to 22 bytes each.
func statesCap(t *testing.T) int {
	n := os.Getenv("VSTACK_SOAK_STATES")
	if n == "" {
		return 100_000_000
	}
	limit, err := strconv.Atoi(n)
	if err != nil {
		t.Fatalf("VSTACK_SOAK_STATES: %v", err)
	}
	return limit
}

// The bounds, smallest first. What a plain run explores to its end is few; a soak
// explores all of them.
var bounds = []bound{
	{name: "one uploader, fast and classic", attempts: 2},
	{name: "uploader and contender", contend: true, attempts: 1},
	{name: "uploader and contender, a crash", contend: true, attempts: 1, crashes: 1},
	{name: "uploader, slow appends, a crash", attempts: 2, async: true, crashes: 1},
	{name: "epoch change under an uploader", attempts: 1, drivers: 1},
	{name: "uploader and contender, slow appends", contend: true, attempts: 1, async: true},
	{name: "epoch change, slow appends", attempts: 1, drivers: 1, async: true},
	{name: "epoch change, proposals in the new epoch", attempts: 1, again: 1, drivers: 1},
	{name: "epoch change, a crash", attempts: 1, drivers: 1, crashes: 1},
	{name: "epoch change, slow appends, a crash", attempts: 1, drivers: 1, crashes: 1, async: true},
	{name: "epoch change, then a contender", contend: true, late: true, attempts: 1, drivers: 1},
	{name: "epoch change, fast and classic", attempts: 2, drivers: 1},
	{name: "epoch change by two drivers", attempts: 1, drivers: 2},
	{name: "epoch change, its driver retries, then a contender", contend: true, late: true, attempts: 1, drivers: 1, tries: 1},
	{name: "epoch change under uploader and contender, no answer lost", contend: true, attempts: 1, drivers: 1, losses: none},
	{name: "the same, one answer lost", contend: true, attempts: 1, drivers: 1, losses: 1},
	{name: "epoch change under uploader and contender, any number lost", contend: true, attempts: 1, drivers: 1},
	{name: "the same, and both propose again in the new epoch", contend: true, attempts: 1, again: 1, drivers: 1},
}

func (x *exploration) capped() bool { return x.limit > 0 && x.states >= x.limit }

func (x *exploration) report(t *testing.T, took time.Duration) string {
	t.Helper()
	if x.err != nil {
		t.Fatalf("%s: %v\n%s", x.b.name, x.err, x.trace)
	}
	end := "explored to its end"
	if x.capped() {
		end = "cut at the cap"
	}
	line := fmt.Sprintf("%-52s %11d states, %11d steps, %s, %v", x.b.name, x.states, x.steps, end, took.Round(time.Second/10))
	t.Log(line)
	return line
}

func TestEveryStateWithinTheBoundsKeepsTheInvariants(t *testing.T) {
	some := bounds
	if os.Getenv("VSTACK_SOAK") == "" {
		some = bounds[:7]
		if raceEnabled || testing.Short() {
			some = bounds[:2]
		}
		t.Logf("%d of %d bounds; VSTACK_SOAK=1 explores them all", len(some), len(bounds))
	}
	states, steps, capped := 0, 0, 0
	limit := statesCap(t)
	var parts []string
	for _, b := range some {
		began := time.Now()
		x, err := explore(b, limit)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, x.report(t, time.Since(began)))
		states, steps = states+x.states, steps+x.steps
		if x.capped() {
			capped++
		}
	}
	t.Logf("%d states, 0 violations", states)
	if states < 10_000 || len(some) > 2 && states < 300_000 || len(some) == len(bounds) && states < 10_000_000 {
		t.Errorf("%d states: the bounds reach too few to prove anything", states)
	}
	soak.Add(t, map[string]int64{
		"states": int64(states), "states: steps": int64(steps), "states: bounds": int64(len(some)),
		"states: bounds cut at the cap": int64(capped), "violations": 0,
	}, parts...)
}

// The same exploration must see a broken protocol break.
func TestTheExplorationCatchesMutants(t *testing.T) {
	change := bound{attempts: 1, drivers: 1, contend: true, late: true}
	caught := 0
	type broken struct {
		name   string
		b      bound
		mutant mutant
	}
	all := []broken{
		{"round 0 onto a non-empty slot", bound{contend: true, attempts: 1}, mutant{acceptor: acceptorMutant{fastAnywhere: true}}},
		{"epoch change without a seal", change, mutant{acceptor: acceptorMutant{unsealed: true}}},
		{"epoch change sealed by one node only", change, mutant{driver: driverMutant{sealOne: true}}},
		{"votes in an epoch without its install", change, mutant{acceptor: acceptorMutant{uninstalled: true}}},
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			m.b.mutant = m.mutant
			x, err := explore(m.b, 2_000_000)
			if err != nil {
				t.Fatal(err)
			}
			if x.err == nil {
				t.Fatalf("survived %d states", x.states)
			}
			t.Logf("caught: %v", x.err)
			caught++
		})
	}
	t.Logf("mutants caught %d of %d", caught, len(all))
	soak.Add(t, map[string]int64{"mutants: given to the exploration, too": int64(len(all)), "mutants: caught by the exploration": int64(caught)})
}
