package superblock

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/vstack/vstack/internal/soak"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// faultRun drives a store until an injected error stops it, and checks that what was
// acknowledged survives a power loss right then.
func faultRun(t *testing.T, rule vfs.Rule) (fired bool) {
	t.Helper()
	disk := vfs.NewCrash()
	fault := vfs.NewFault(disk)
	cfg := testConfig(t, fault, "/store")
	cfg.SuperblockSize, cfg.Reserve, cfg.GarbageRatio = 64<<10, 64<<10, 0.3
	var fatals atomic.Int32
	cfg.Fatal = func(error) { fatals.Add(1) }
	fault.Set(rule)
	acked, pending := newModel(), newModel()
	rng := rand.New(rand.NewPCG(11, 12))
	s, err := Open(context.Background(), cfg)
	if err == nil {
		for err = s.Upgrade(context.Background(), appendAs); errors.Is(err, vstack.ErrDiskFull); { // as the next heartbeat does
			err = s.Upgrade(context.Background(), appendAs)
		}
		stopped := err != nil
		for step := 0; step < 60 && !stopped; step++ {
			if step%20 == 19 {
				_, err = s.Compact(context.Background())
			} else {
				recs := randomBatch(acked, rng, 6000)
				pending = acked.with(recs)
				if _, err = s.Append(context.Background(), recs...); err == nil {
					acked = pending
				}
			}
			if err == nil && stopped {
				t.Errorf("%+v: step %d was acknowledged after a fatal error", rule, step)
			}
			if errors.Is(err, vstack.ErrDiskFull) {
				pending = acked // nothing was written
			} else if err != nil {
				stopped = true
			}
		}
		if stopped {
			if _, err := s.Append(context.Background(), stored(payload(1, 10))); !errors.Is(err, vstack.ErrUnavailable) {
				t.Errorf("%+v: append after a fatal error: %v", rule, err)
			}
		}
		_ = s.Close() // it may report the injected error
		if want := int32(0); stopped {
			if want = 1; fatals.Load() != want {
				t.Errorf("%+v: Fatal was called %d times, want %d (error %v)", rule, fatals.Load(), want, err)
			}
		}
	}
	fired = fault.Fired() > 0
	cfg.FS = disk.Crash(rng)
	cfg.Fatal = func(err error) { t.Errorf("fatal after restart: %v", err) }
	again := open(t, cfg)
	got, err := observe(again)
	if err != nil {
		t.Errorf("%+v: %v", rule, err)
	}
	if diff := acked.diff(got); diff != "" && pending.diff(got) != "" {
		t.Errorf("%+v: after restart: %s", rule, diff)
	}
	for _, f := range again.Findings() {
		if f.Kind != FindTornTail {
			t.Errorf("%+v: after restart: %+v", rule, f)
		}
	}
	closeStore(t, again)
	return fired
}

// TestErrorAtEveryCall fails the n-th call of a run, for every n: EIO and ENOSPC, with
// and without half of a write getting out.
func TestErrorAtEveryCall(t *testing.T) {
	for name, rule := range map[string]vfs.Rule{
		"EIO":              {Err: syscall.EIO, Op: "change"},
		"EIO, short write": {Err: syscall.EIO, Op: "write", Short: true},
		"ENOSPC":           {Err: syscall.ENOSPC, Op: "change"},
		"ENOSPC for ever":  {Err: syscall.ENOSPC, Op: "preallocate", Sticky: true},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			// Every call in a soak; in between, every third is enough to see one go wrong.
			for rule.Nth = 1; faultRun(t, rule) && !t.Failed(); rule.Nth += max(1, 4-scale(t)) {
				n++
			}
			t.Logf("failed at each of %d calls", n)
			if n < 3 {
				t.Errorf("only %d calls failed", n)
			}
			soak.Add(t, map[string]int64{"superblock: calls failed": int64(n), "violations": 0})
		})
	}
}

func TestFailedSyncIsNeverRetried(t *testing.T) {
	disk := vfs.NewFault(vfs.NewCrash())
	cfg := testConfig(t, disk, "/store")
	fatal := make(chan error, 10)
	cfg.Fatal = func(err error) { fatal <- err }
	s := open(t, cfg)
	mustAppend(t, s, stored(payload(1, 100)))
	disk.Set(vfs.Rule{Op: "datasync", Nth: 1, Err: syscall.EIO})
	syncs, writes := disk.Calls("datasync"), 0
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := s.Append(context.Background(), stored(payload(uint64(100+i), 100))); !errors.Is(err, vstack.ErrUnavailable) {
				t.Errorf("append with a failing sync: %v", err)
			}
		})
	}
	wg.Wait()
	writes = disk.Calls("write")
	if _, err := s.Append(context.Background(), stored(payload(2, 100))); err == nil {
		t.Error("acknowledged after a failed sync")
	}
	if got := disk.Calls("datasync") - syncs; got != 1 {
		t.Errorf("%d fdatasyncs, want the failed one only", got)
	}
	if disk.Calls("write") != writes {
		t.Error("written to after a failed sync")
	}
	closeStore(t, s)
	if len(fatal) != 1 || !errors.Is(<-fatal, syscall.EIO) {
		t.Error("Fatal was not called exactly once with the cause")
	}
}

func TestExactlyOneFdatasyncPerGroup(t *testing.T) {
	disk := vfs.NewFault(vfs.NewCrash())
	cfg := testConfig(t, disk, "/store")
	reg := prometheus.NewRegistry()
	cfg.Registry = reg
	cfg.SuperblockSize = 4 << 20
	s := open(t, cfg)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 10 {
				mustAppend(t, s, stored(payload(uint64(w*100+i), 2000)))
			}
		})
	}
	wg.Wait()
	groups := testutil.ToFloat64(s.metrics.Groups)
	if syncs := float64(disk.Calls("datasync")); syncs != groups || testutil.ToFloat64(s.metrics.Fdatasyncs) != groups {
		t.Errorf("%v fdatasyncs of the file system, %v counted, %v groups", syncs, testutil.ToFloat64(s.metrics.Fdatasyncs), groups)
	}
	if got := testutil.ToFloat64(s.metrics.Records); got != 160 {
		t.Errorf("%v records counted", got)
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n == 0 {
		t.Errorf("gather: %d metrics, %v", n, err)
	}
	closeStore(t, s)
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 0 {
		t.Errorf("after Close: %d metrics, %v", n, err)
	}
}

func TestDiskFull(t *testing.T) {
	for name, limit := range map[string]func(*Config, *vfs.Crash){
		"capacity":    func(c *Config, _ *vfs.Crash) { c.Capacity = 6*c.SuperblockSize + c.SuperblockSize/2 },
		"file system": func(c *Config, d *vfs.Crash) { d.Limit(6*c.SuperblockSize + c.SuperblockSize/2) },
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewCrash()
			cfg := testConfig(t, disk, "/store")
			cfg.SuperblockSize, cfg.Reserve = 64<<10, 64<<10
			limit(&cfg, disk)
			s := open(t, cfg)
			var chunks [][]byte
			var err error
			for i := 0; err == nil && i < 1000; i++ {
				data := payload(uint64(i), 5000)
				if _, err = s.Append(context.Background(), voted(data, slotOf(1, uint32(i)), 0)); err == nil {
					chunks = append(chunks, data)
				}
			}
			if !errors.Is(err, vstack.ErrDiskFull) || len(chunks) < 25 {
				t.Fatalf("after %d chunks: %v", len(chunks), err)
			}
			if free := s.Stats().Free; free > 16<<10 { // a superblock more would be 64 KiB
				t.Errorf("full, and still %d bytes are free", free)
			}
			closeStore(t, s)
			s = open(t, cfg) // opens and reads while full
			for _, c := range chunks {
				wantChunk(t, s, c)
			}
			mustAppend(t, s, Record{Kind: KindPromise, Slot: slotOf(1, 1), Ballot: vstack.Ballot{Incarnation: 99}})
			var drops []Record // deletes still work, and give the space back
			for i, c := range chunks {
				if i%4 != 0 {
					drops = append(drops, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(c)}})
				}
			}
			for part := range slices.Chunk(drops, 5) {
				mustAppend(t, s, part...)
				if _, err := s.Append(context.Background(), stored(payload(7777, 5000))); !errors.Is(err, vstack.ErrDiskFull) {
					t.Fatalf("a chunk took space of the reserve: %v", err)
				}
			}
			report, err := s.Compact(context.Background())
			if err != nil || report.Files == 0 {
				t.Fatalf("compact: %+v, %v", report, err)
			}
			mustAppend(t, s, stored(payload(5000, 5000)))
			for i, c := range chunks {
				if i%4 == 0 {
					wantChunk(t, s, c)
				} else if _, ok := s.Lookup(vstack.ChunkIDOf(c)); ok {
					t.Errorf("chunk %d is still there", i)
				}
			}
			if got := len(stateOf(s)); got != len(chunks)+1 {
				t.Errorf("%d votes and promises, want %d", got, len(chunks)+1)
			}
			closeStore(t, s)
		})
	}
}

// TestReadsGoOnWhileCompactionRemovesFiles reads without pause while every file is
// rewritten several times.
func TestReadsGoOnWhileCompactionRemovesFiles(t *testing.T) {
	cfg := testConfig(t, vfs.OS{}, t.TempDir())
	cfg.SuperblockSize, cfg.Reserve, cfg.GarbageRatio = 64<<10, 64<<10, 0.05
	s := open(t, cfg)
	var keep [][]byte
	for i := range 60 {
		data := payload(uint64(i), 4000)
		if mustAppend(t, s, stored(data)); i%3 == 0 {
			keep = append(keep, data)
		} else {
			mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(data)}})
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var reads atomic.Int64
	for range 4 {
		wg.Go(func() {
			for {
				for _, c := range keep {
					wantChunk(t, s, c)
					reads.Add(1)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	removed := 0
	deadline := time.Now().Add(20 * time.Second)
	for round := uint64(0); removed < 20 && time.Now().Before(deadline); round++ {
		for i := range uint64(20) { // garbage that fills files beside what is kept
			data := payload(1000+round*100+i, 3000)
			mustAppend(t, s, stored(data))
			mustAppend(t, s, Record{Kind: KindDrop, Value: vstack.Value{Chunk: vstack.ChunkIDOf(data)}})
		}
		report, err := s.Compact(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		removed += report.Files
	}
	close(stop)
	wg.Wait()
	t.Logf("%d files removed during %d reads", removed, reads.Load())
	if removed < 20 {
		t.Errorf("only %d files removed", removed)
	}
	closeStore(t, s)
	if _, err := s.ReadAt(context.Background(), vstack.ChunkIDOf(keep[0]), make([]byte, 1), 0); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	if _, err := s.Append(context.Background(), stored(keep[0])); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("append after Close: %v", err)
	}
	closeStore(t, s) // idempotent
}
