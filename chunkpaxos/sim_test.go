package chunkpaxos

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"math/rand/v2"
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
	var events, commits, acks, virtual int
	n := schedules(t, 2000)
	for seed := range uint64(n) {
		w := newWorld(randomPlan(seed), false)
		if v := w.run(); v != "" {
			t.Fatalf("seed %d: %s\n%s", seed, v, storyOf(randomPlan(seed)))
		}
		events, commits, acks = events+w.steps, commits+w.check.commits, acks+w.check.acks
		virtual += int(w.now / time.Millisecond)
	}
	t.Logf("%d schedules, %d events, %d votes acknowledged, %d values learned, %d s of virtual time, 0 violations", n, events, acks, commits, virtual/1000)
	if commits < n || acks < 2*n {
		t.Errorf("%d values learned and %d votes in %d schedules: the runs do too little to prove anything", commits, acks, n)
	}
}

func TestAScheduleReplaysExactly(t *testing.T) {
	for seed := range uint64(50) {
		if a, b := storyOf(randomPlan(seed)), storyOf(randomPlan(seed)); a != b {
			t.Fatalf("seed %d told two stories", seed)
		}
	}
}

// TestEveryMutantIsCaught: a simulator that does not see a broken protocol break
// proves nothing about a whole one.
func TestEveryMutantIsCaught(t *testing.T) {
	for name, m := range map[string]mutant{
		"round 0 onto a non-empty slot":      {acceptor: acceptorMutant{fastAnywhere: true}},
		"two processes share round 0":        {shared: true},
		"resume skips phase 1":               {proposer: proposerMutant{fastAlways: true}},
		"a ballot is reused for other value": {proposer: proposerMutant{reuseBallot: true}},
		"a wiped acceptor votes":             {acceptor: acceptorMutant{ignoreEcho: true}},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 60_000 // the specification's bound; the rarest is caught far below it
			for seed := range uint64(n) {
				p := randomPlan(seed)
				p.mutant = m
				if m.proposer.reuseBallot { // it takes losses and rivals, which not every plan has
					p.loss, p.contenders, p.slots, p.resumes = 150, 2, 3, 1
				}
				w := newWorld(p, false)
				w.check.only = "agreement"
				if v := w.run(); v != "" {
					t.Logf("caught by schedule %d: %s", seed, v)
					return
				}
			}
			t.Fatalf("agreement survived %d schedules", n)
		})
	}
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
