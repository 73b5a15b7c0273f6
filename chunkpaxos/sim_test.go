package chunkpaxos

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/soak"
)

var (
	update = flag.Bool("update", false, "rewrite the golden traces")
	replay = flag.Uint64("seed", 0, "play this schedule only and print its story")
)

// schedules is how many a test plays: a slice in every run, more in a soak.
func schedules(t *testing.T, few int) int {
	if s := os.Getenv("VSTACK_SOAK_SCHEDULES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("VSTACK_SOAK_SCHEDULES=%q, want a number", s)
		}
		return n
	}
	t.Logf("%d schedules; VSTACK_SOAK_SCHEDULES plays more", few)
	if testing.Short() {
		return few / 10
	}
	return few
}

// storyOf plays a plan again and tells what happened.
func storyOf(p plan) string {
	w := newWorld(p, true)
	w.run()
	return w.story.String()
}

func TestRandomSchedulesKeepEveryInvariant(t *testing.T) {
	if *replay != 0 {
		t.Log("\n" + storyOf(randomPlan(*replay)))
		return
	}
	few := 1200
	if raceEnabled {
		few = 600
	}
	n := schedules(t, few)
	sum, failed := playAll(n)
	if failed >= 0 {
		t.Fatalf("seed %d: %s\n%s", failed, newWorld(randomPlan(uint64(failed)), false).run(), storyOf(randomPlan(uint64(failed))))
	}
	t.Logf("%d schedules, %d events, %d votes acknowledged, %d values learned, %d epochs activated, %v of virtual time, 0 violations",
		n, sum.events, sum.acks, sum.commits, sum.moved, sum.virtual)
	figures := map[string]int64{
		"schedules": int64(n), "schedules: events": int64(sum.events), "schedules: virtual hours": int64(sum.virtual / time.Hour),
		"schedules: votes acknowledged": int64(sum.acks), "schedules: values learned": int64(sum.commits),
		"schedules: epochs activated": int64(sum.moved), "schedules: broken by what no heartbeat told": int64(sum.unseen), "violations": 0,
	}
	for i, count := range sum.faults {
		if count == 0 {
			t.Errorf("%s: none in %d schedules", faultNames[i], n)
		}
		figures["faults"] += int64(count)
		figures["faults: "+faultNames[i]] = int64(count)
	}
	t.Logf("faults injected: %d: %v in the order of %q", figures["faults"], sum.faults, faultNames)
	t.Logf("%d disks rolled back: the catalog told %d, the rest lost what no heartbeat had told; %d runs broke by that", sum.rollbacks, sum.byCatalog, sum.unseen)
	if sum.commits < n || sum.acks < 2*n || sum.moved < n/4 || sum.rollbacks < n/50 || sum.byCatalog == 0 {
		t.Errorf("%+v in %d schedules: the runs do too little to prove anything", sum, n)
	}
	soak.Add(t, figures)
}

// tally is what some runs did.
type tally struct {
	events, commits, acks, moved, rollbacks, byCatalog, unseen int
	virtual                                                    time.Duration
	faults                                                     faultCounts
}

func (a *tally) add(w *world) {
	a.events, a.commits, a.acks = a.events+w.steps, a.commits+w.check.commits, a.acks+w.check.acks
	a.virtual, a.moved = a.virtual+w.now, a.moved+w.moved
	a.rollbacks, a.byCatalog, a.unseen = a.rollbacks+w.check.rollbacks, a.byCatalog+w.check.byCatalog, a.unseen+w.check.unseen
	for i, n := range w.faults {
		a.faults[i] += n
	}
}

func (a *tally) merge(b tally) {
	a.events, a.commits, a.acks = a.events+b.events, a.commits+b.commits, a.acks+b.acks
	a.virtual, a.moved = a.virtual+b.virtual, a.moved+b.moved
	a.rollbacks, a.byCatalog, a.unseen = a.rollbacks+b.rollbacks, a.byCatalog+b.byCatalog, a.unseen+b.unseen
	for i, n := range b.faults {
		a.faults[i] += n
	}
}

// playAll plays the seeds below n on every processor, and returns one that failed, or -1.
func playAll(n int) (tally, int) {
	var (
		mu     sync.Mutex
		sum    tally
		failed = -1
		next   atomic.Int64
		wg     sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var mine tally
			bad := -1
			for bad < 0 {
				seed := next.Add(1) - 1
				if seed >= int64(n) {
					break
				}
				w := newWorld(randomPlan(uint64(seed)), false)
				if w.run() != "" {
					bad = int(seed)
					next.Store(int64(n))
				}
				mine.add(w)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.merge(mine)
			failed = max(failed, bad)
		})
	}
	wg.Wait()
	return sum, failed
}

func TestAScheduleReplaysExactly(t *testing.T) {
	for seed := range uint64(50) {
		if a, b := storyOf(randomPlan(seed)), storyOf(randomPlan(seed)); a != b {
			t.Fatalf("seed %d told two stories", seed)
		}
	}
}

// mutants of the specification, and of every bug that was found later.
var mutants = []struct {
	name string
	mutant
	from uint64 // a schedule a little before one that catches it
	only string // the invariant that has to break; "": agreement
}{
	{"round 0 onto a non-empty slot", mutant{acceptor: acceptorMutant{fastAnywhere: true}}, 0, ""},
	{"two processes share round 0", mutant{shared: true}, 0, ""},
	{"resume skips phase 1", mutant{proposer: proposerMutant{fastAlways: true}}, 0, ""},
	{"a ballot is reused for another value", mutant{proposer: proposerMutant{reuseBallot: true}}, 1400, ""},
	{"a rolled-back acceptor votes", mutant{acceptor: acceptorMutant{ignoreEcho: true}}, 0, ""},
	{"epoch change without a seal", mutant{acceptor: acceptorMutant{unsealed: true}}, 0, ""},
	{"epoch change sealed by one node only", mutant{driver: driverMutant{sealOne: true}}, 0, ""},
	{"an attempt at an epoch is driven by two", mutant{twice: true}, 2400, ""},
	{"the lowest ballot's value is installed", mutant{driver: driverMutant{lowest: true}}, 0, ""},
	{"votes in an epoch without its install", mutant{acceptor: acceptorMutant{uninstalled: true}}, 9400, ""},
	{"a first page that comes again empties the install", mutant{acceptor: acceptorMutant{firstResets: true}}, 1800, ""},
	{"an install of an upload told of later is dropped", mutant{acceptor: acceptorMutant{skipUnknown: true}}, 11600, ""},
	// Found by schedule 66,143 of a soak.
	{"what was written since the start hides what was lost", mutant{acceptor: acceptorMutant{lateEcho: true}}, 0, "no voter below its echo"},
}

// planFor bends a random plan towards what a mutant needs to show.
func planFor(seed uint64, m mutant) plan {
	p := randomPlan(seed)
	p.mutant, p.stale = m, 0
	switch {
	case m.proposer.reuseBallot: // losses and rivals
		p.loss, p.contenders, p.slots, p.resumes = 150, 2, 3, 1
	case m.acceptor.ignoreEcho:
		p.wipes = 1
	case m.acceptor.lateEcho: // the end of the upload is written before the echo comes
		p.wipes, p.abort, p.moves, p.contenders, p.loss, p.crashes = 1, true, 3, 2, 0, 0
	case m.acceptor.unsealed, m.driver != driverMutant{}, m.twice, m.acceptor.uninstalled:
		p.moves, p.contenders, p.loss, p.abort, p.wipes = 2, 2, 150, false, 0
	case m.acceptor.firstResets:
		p.moves, p.contenders, p.slots, p.onegroup, p.duplicate, p.abort, p.wipes = 2, 2, 3, true, 400, false, 0
	case m.acceptor.skipUnknown:
		p.moves, p.contenders, p.resumes, p.abort, p.wipes = 3, 2, 2, false, 0
	}
	return p
}

// TestEveryMutantIsCaught: a simulator that does not see a broken protocol break
// proves nothing about a whole one.
func TestEveryMutantIsCaught(t *testing.T) {
	caught := 0
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			const n = 60_000 // the specification's bound; the rarest is caught far below it
			for i := range uint64(n) {
				seed := (m.from + i) % n
				w := newWorld(planFor(seed, m.mutant), false)
				w.check.only = cmp.Or(m.only, "agreement")
				if v := w.run(); v != "" && !w.check.window {
					t.Logf("caught by schedule %d: %s", seed, v)
					caught++
					return
				}
			}
			t.Fatalf("it survived %d schedules", n)
		})
	}
	t.Logf("mutants caught %d of %d", caught, len(mutants))
	soak.Add(t, map[string]int64{"mutants": int64(len(mutants)), "mutants caught": int64(caught)})
}

func steady(*rand.Rand) time.Duration { return time.Millisecond }

// TestGoldenTraces keeps four runs as stories to read. -update rewrites them.
func TestGoldenTraces(t *testing.T) {
	lose := func(lines ...string) func(string) bool {
		return func(line string) bool {
			for i, l := range lines {
				if l != "" && strings.HasPrefix(line, l) {
					lines[i] = "" // once
					return false
				}
			}
			return true
		}
	}
	for _, c := range []struct {
		name     string
		plan     func() plan
		script   func(*world)
		messages int
	}{
		{"uncontended", func() plan { return plan{slots: 1} }, func(w *world) { w.populate() }, 6},
		{"lost-ack", func() plan {
			return plan{slots: 1, silent: 1000, fate: lose("A → P1  ACCEPTED", "B → P1  ACCEPTED")}
		}, func(w *world) { w.populate() }, 18},
		{"conflict", func() plan {
			return plan{slots: 1, silent: 1000, fate: lose("P1 → B  PUT", "P1 → C  PUT")}
		}, func(w *world) {
			w.populate()
			w.after(10*time.Millisecond, func() { w.newProc("Q1", w.cat.upload, w.id("Q1"), false).uploadAll() })
		}, 34},
		{"resume", func() plan {
			return plan{slots: 2, silent: 1000, samecontent: 1000, fate: lose("P1 → B  PUT slot 2", "P1 → C  PUT slot 2")}
		}, func(w *world) {
			w.populate()
			w.after(10*time.Millisecond, func() { w.resume("P2", w.id("P2"), true) })
		}, 28},
		// C dies with its disk; slot 1 is chosen by A and B. D takes its place, and gets the
		// install only after the activation. The uploader
		// meets the sealed epoch with its second slot and goes on in the next one.
		{"epoch-change", func() plan {
			return plan{slots: 2, silent: 1000, moves: 1, onegroup: true, fate: lose("P1 → C  PUT slot 1", "R1 → D  INSTALL")}
		}, func(w *world) {
			p := w.newProc("P1", w.cat.upload, w.cat.upload.Owner, true)
			slots := w.slots()
			w.after(0, func() { p.commit(slots[0], 3) })
			w.after(10*time.Millisecond, func() { w.stores[2].crash("loses its disk for good"); w.stores[2].gone = true })
			w.after(12*time.Millisecond, func() { w.cat.replace(store(2)) })
			w.after(14*time.Millisecond, func() { p.commit(slots[1], 3) })
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := c.plan()
			p.seed, p.delay = 1, steady
			w := newWorld(p, true)
			c.script(w)
			if v := w.play(); v != "" {
				t.Fatalf("%s\n%s", v, w.story)
			}
			if c.messages > 0 && w.sent != c.messages {
				t.Errorf("%d messages, want %d", w.sent, c.messages)
			}
			golden(t, filepath.Join("testdata", c.name+".trace"), w.story.String())
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: the story changed; if that is meant, run with -update.\n--- want\n%s--- got\n%s", file, want, got)
	}
}
