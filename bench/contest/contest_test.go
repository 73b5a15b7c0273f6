package contest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/viewing"
	"github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/bench/viewing/verdict"
	"github.com/vstack/vstack/bench/virtual/site"
	"github.com/vstack/vstack/quicclient/policy"
)

// A contest is what these say; without them TestContest is short.
var (
	seeds     = flag.Int("seeds", 0, "how many seeds; 0 skips the contest")
	firstSeed = flag.Uint64("first-seed", 1, "the first of them")
	policies  = flag.String("policies", "smart,round-robin", "which, or all")
	scenarios = flag.String("scenarios", "all", "which, or all")
	bitrates  = flag.String("bitrates", "8", "of the film, in Mbit/s")
	buffers   = flag.String("buffers", "30", "in seconds")
	sound     = flag.Bool("sound", false, "films have a second track, and chunks that start the decoders, as uploads do")
	typed     = flag.Bool("typed", false, "the catalog is asked first, as the command does")
	again     = flag.Bool("again", false, "clients have sessions from before")
	share     = flag.String("share", "", "numbers of plain downloads beside which TestShare plays, such as 1,2,4")
	length    = flag.Duration("length", 40*time.Second, "of the film")
	traceDir  = flag.String("traces", "", "folder with ghent-4g and fcc-hd; scenarios that want traces are skipped without")
	outFile   = flag.String("out", "", "write outcomes to this file, one JSON line each")
	atOnce    = flag.Int("at-once", max(1, runtime.GOMAXPROCS(0)-1), "films at once")
)

// films are made once: their bytes cost more than playing them.
var films struct {
	sync.Mutex
	made map[string]*site.Film
}

func filmOf(seed uint64, bitrate float64, length time.Duration) *site.Film {
	films.Lock()
	defer films.Unlock()
	key := fmt.Sprint(seed%4, bitrate, length)
	if films.made == nil || len(films.made) > 8 {
		films.made = map[string]*site.Film{}
	}
	if films.made[key] == nil {
		make := site.NewFilm
		if *sound {
			make = site.NewFilmWithSound
		}
		films.made[key] = make(seed%4, bitrate, length)
	}
	return films.made[key]
}

// play runs one film in a bubble.
func play(t *testing.T, run Run) (o viewing.Outcome) {
	t.Helper()
	run.Dir = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var err error
		one := Play
		if run.Policy == verdict.SingleName {
			one = Single
		}
		if o, err = one(context.Background(), run); err != nil {
			t.Error(err)
		}
	})
	return o
}

func named(t *testing.T, name string) scenario.Scenario {
	t.Helper()
	i := slices.IndexFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no scenario %q", name)
	}
	return scenario.All()[i]
}

func TestTheDefaultPolicyPassesASlowHostOver(t *testing.T) {
	film := filmOf(1, 8e6, 20*time.Second)
	run := Run{Scenario: named(t, "slow"), Film: film, Buffer: 6 * time.Second, Seed: 1}
	run.Policy = "smart"
	ours := play(t, run)
	run.Policy = "round-robin"
	robin := play(t, run)
	t.Logf("smart %+v", ours)
	t.Logf("round robin %+v", robin)
	if ours.Stalls > 0 || ours.First > 0.35 || ours.SlowShare > 0.1 {
		t.Errorf("smart: first picture after %.3f s, %.0f stalls, %.1f %% of the bytes from the slow host", ours.First, ours.Stalls, 100*ours.SlowShare)
	}
	if robin.StallTime < 1 {
		t.Errorf("round robin: %.1f s of stalls: the scenario shows nothing", robin.StallTime)
	}
	if oracle := oracle(run); oracle.Stalls > 0 || oracle.First > ours.First || oracle.ChunkP95 > robin.ChunkP95 {
		t.Errorf("the oracle is no bound: %+v", oracle)
	}
}

func TestAVanishedHostStopsNothing(t *testing.T) {
	run := Run{Scenario: named(t, "vanish"), Policy: "smart", Film: filmOf(1, 8e6, 40*time.Second), Buffer: 6 * time.Second, Seed: 2}
	o := play(t, run)
	t.Logf("%+v", o)
	if o.Stalls > 0 || o.Gap > 0.6 || o.Back < 0 || o.Back > 3 {
		t.Errorf("%.0f stalls, a gap of %.3f s, used again %.2f s after its return", o.Stalls, o.Gap, o.Back)
	}
}

func TestTheCatalogCostsACommandLittle(t *testing.T) {
	run := Run{Scenario: named(t, "thin"), Policy: "smart", Film: filmOf(1, 0.8e6, 10*time.Second), Buffer: 6 * time.Second, Seed: 1}
	known := play(t, run)
	run.Typed = true
	typed := play(t, run)
	t.Logf("first picture after %.3f s from the manifest on, %.3f s from the command on", known.First, typed.First)
	if known.First > 0.23 || typed.First-known.First > 0.2 || typed.First <= known.First {
		t.Errorf("first picture after %.3f s from the manifest on, want 0.23; %.3f s from the command on, want 0.2 more", known.First, typed.First)
	}
}

func list(s string, all []string) []string {
	if s == "all" {
		return all
	}
	return strings.Split(s, ",")
}

func numbers(t *testing.T, s string) (out []float64) {
	t.Helper()
	for _, n := range strings.Split(s, ",") {
		v, err := strconv.ParseFloat(n, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// TestContest prints the tables of a contest: go test ./bench/contest -run TestContest -v
// -seeds 30 -policies all -timeout 0.
func TestContest(t *testing.T) {
	if *seeds == 0 {
		t.Skip("SKIPPED: a contest takes long: give it -seeds N")
	}
	pols := list(*policies, policy.Names())
	var names []string
	for _, s := range scenario.All() {
		names = append(names, s.Name)
	}
	results := verdict.Results{}
	var mu sync.Mutex
	var out *os.File
	if *outFile != "" {
		var err error
		if out, err = os.Create(*outFile); err != nil {
			t.Fatal(err)
		}
		defer out.Close()
	}
	var plays errgroup.Group
	plays.SetLimit(*atOnce)
	for _, name := range list(*scenarios, names) {
		sc := named(t, name)
		traces := tracesOf(t, sc)
		if sc.Traces != "" && traces == nil {
			continue
		}
		rates := numbers(t, *bitrates)
		if sc.Bitrate > 0 {
			rates = []float64{sc.Bitrate / 1e6}
		}
		for _, rate := range rates {
			for _, buffer := range numbers(t, *buffers) {
				for _, pol := range append(slices.Clone(pols), extras(sc)...) {
					k := verdict.Key{Scenario: sc.Name, Policy: pol, Bitrate: rate * 1e6, Buffer: time.Duration(buffer * float64(time.Second))}
					results[k] = make([]viewing.Outcome, *seeds)
					for i := range *seeds {
						seed := *firstSeed + uint64(i)
						plays.Go(func() error {
							run := Run{Scenario: sc, Policy: pol, Film: filmOf(seed, k.Bitrate, *length), Buffer: k.Buffer, Seed: seed, Traces: traces, Typed: *typed, Again: *again}
							var o viewing.Outcome
							if pol == verdict.OracleName {
								o = oracle(run)
							} else {
								t.Run(fmt.Sprintf("%s/%s/%v/%v/%d", sc.Name, pol, rate, buffer, seed), func(t *testing.T) { o = play(t, run) })
							}
							mu.Lock()
							defer mu.Unlock()
							results[k][i] = o
							if out != nil {
								_ = json.NewEncoder(out).Encode(struct {
									verdict.Key
									Seed uint64
									viewing.Outcome
								}{k, seed, o}) // a figure that is not written is still printed
							}
							return nil
						})
					}
				}
			}
		}
	}
	if err := plays.Wait(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	results.Print(&b, pols)
	fmt.Fprintf(&b, "\ntargets of smart\n")
	for _, target := range results.Targets("smart", pols) {
		fmt.Fprintf(&b, "  %s\n", target)
	}
	t.Log(b.String())
}

func oracle(run Run) viewing.Outcome {
	return verdict.Oracle(run.Scenario.Draw(scenario.Rand(run.Seed), run.Traces), run.Film.Manifest, run.Buffer, run.Scenario.Download)
}

// extras are what is measured beside the policies.
func extras(sc scenario.Scenario) []string {
	if sc.Download {
		return []string{verdict.OracleName, verdict.SingleName}
	}
	return []string{verdict.OracleName}
}

func tracesOf(t *testing.T, sc scenario.Scenario) []scenario.Trace {
	t.Helper()
	if sc.Traces == "" {
		return nil
	}
	if *traceDir == "" {
		t.Logf("%s: skipped, it wants -traces", sc.Name)
		return nil
	}
	traces, err := scenario.ReadTraces(filepath.Join(*traceDir, sc.Traces))
	if err != nil || len(traces) < 3 {
		t.Fatalf("%d traces, %v", len(traces), err)
	}
	return traces
}
