package contest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/quicclient/policy"
)

// beside runs one share in a bubble.
func beside(t *testing.T, run Run, others int) (s Share) {
	t.Helper()
	run.Dir = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if s, err = Beside(context.Background(), run, others); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAClientLeavesAnotherDownloadItsPart(t *testing.T) {
	run := Run{Scenario: named(t, "shared"), Policy: "smart", Film: filmOf(1, 8e6, 60*time.Second), Buffer: 6 * time.Second, Seed: 1}
	s := beside(t, run, 1)
	t.Logf("%+v", s)
	// A film of 8 Mbit/s on a link of 25: a download that gets a quarter of it is not starved,
	// and one that gets more than the film leaves has taken from the film.
	if s.Stalls > 0 || s.Others[0] < 6e6 || s.Client+s.Others[0] > 25e6 {
		t.Errorf("%d stalls; %.1f Mbit/s beside %.1f of the download", s.Stalls, s.Client/1e6, s.Others[0]/1e6)
	}
}

// TestShare prints what a client takes of an access link beside plain downloads: go test
// ./bench/contest -run TestShare -v -share 1,2,4 -seeds 5 -scenarios shared,shared-download.
func TestShare(t *testing.T) {
	if *share == "" {
		t.Skip("SKIPPED: shares take long: give it -share 1,2,4")
	}
	for _, name := range list(*scenarios, []string{"shared", "shared-download"}) {
		sc := named(t, name)
		for _, pol := range list(*policies, policy.Names()) {
			for _, k := range numbers(t, *share) {
				var ours, others, least []float64
				stalls := 0
				for i := range uint64(max(*seeds, 1)) {
					seed := *firstSeed + i
					run := Run{Scenario: sc, Policy: pol, Film: filmOf(seed, 8e6, 60*time.Second), Buffer: time.Duration(numbers(t, *buffers)[0] * float64(time.Second)), Seed: seed}
					s := beside(t, run, int(k))
					var sum, low float64
					for j, o := range s.Others {
						if sum += o; j == 0 || o < low {
							low = o
						}
					}
					ours, others, least = append(ours, s.Client), append(others, sum), append(least, low)
					stalls += s.Stalls
				}
				mean := func(v []float64) float64 { return paired.Bootstrap(v).Mean / 1e6 }
				t.Logf("%-16s %-12s beside %.0f: %5.1f Mbit/s, the others %5.1f in all, the least %5.1f; %d stalls in %d",
					name, pol, k, mean(ours), mean(others), mean(least), stalls, len(ours))
			}
		}
	}
}
