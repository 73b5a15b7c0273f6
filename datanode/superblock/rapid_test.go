package superblock

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// TestStoreMatchesModel lets rapid choose any order of batches, compactions,
// reopenings and power losses, and compares with the model after each.
func TestStoreMatchesModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		disk := vfs.NewCrash()
		cfg := testConfig(t, disk, "/store")
		cfg.SuperblockSize, cfg.Reserve = 64<<10, 64<<10
		cfg.GarbageRatio = rapid.SampledFrom([]float64{0.01, 0.3, 0.9}).Draw(rt, "garbage ratio")
		s := open(t, cfg)
		defer func() { closeStore(t, s) }()
		want := newModel()
		rng := func() *rand.Rand { return rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)) }
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				recs := randomBatch(want, rng(), 8000)
				before := s.LSN()
				lsn, err := s.Append(context.Background(), recs...)
				if err != nil || lsn != before+vstack.LSN(len(recs)) || s.LSN() != lsn {
					rt.Fatalf("append %d records at %d: LSN %d, error %v", len(recs), before, lsn, err)
				}
				want = want.with(recs)
			},
			"vote without bytes": func(rt *rapid.T) {
				r := voted(payload(rapid.Uint64Range(5000, 6000).Draw(rt, "payload"), 10), slotOf(1, 1), 1)
				r.Kind, r.Voted, r.Data, r.Leaves = KindVote, false, nil, nil
				if _, err := s.Append(context.Background(), r); !errors.Is(err, vstack.ErrBytesMissing) {
					rt.Fatalf("vote for unknown bytes: %v", err)
				}
			},
			"compact": func(rt *rapid.T) {
				before := s.Stats().Superblocks
				report, err := s.Compact(context.Background())
				if err != nil || report.Files > before {
					rt.Fatalf("compact: %+v, %v", report, err)
				}
			},
			"reopen": func(rt *rapid.T) {
				lsn := s.LSN()
				closeStore(t, s)
				if s = open(t, cfg); s.LSN() != lsn {
					rt.Fatalf("LSN %d after reopening, %d before", s.LSN(), lsn)
				}
			},
			"lose power": func(rt *rapid.T) {
				lsn := s.LSN()
				closeStore(t, s)
				disk = disk.Crash(rng())
				cfg.FS = disk
				if s = open(t, cfg); s.LSN() < lsn {
					rt.Fatalf("LSN %d after a power loss, %d before", s.LSN(), lsn)
				}
			},
			"": func(rt *rapid.T) {
				got, err := observe(s)
				if diff := want.diff(got); diff != "" || err != nil {
					rt.Fatalf("%s %v", diff, err)
				}
				st := s.Stats()
				if st.Chunks != len(want.chunks) || st.Live < 0 || st.Live > st.Written {
					rt.Fatalf("stats %+v with %d chunks", st, len(want.chunks))
				}
			},
		})
	})
}
