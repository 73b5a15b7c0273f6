package superblock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/vstack/vstack/internal/soak"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

func sortIDs(ids []vstack.ChunkID) {
	slices.SortFunc(ids, func(a, b vstack.ChunkID) int { return bytes.Compare(a[:], b[:]) })
}

// scale is how many times as much as a test normally does; set for soak runs.
func scale(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("VSTACK_SOAK"))
	if err != nil || n < 1 {
		t.Log("a slice of the soak; VSTACK_SOAK=N does N times as much")
		return 1
	}
	return n
}

// crashRun drives a store on a file system that loses power before every operation
// that changes it, again and again, and checks what each such machine comes back with.
type crashRun struct {
	t     *testing.T
	mu    sync.Mutex // the next file is made beside the append in flight
	rng   *rand.Rand // of the workload
	chaos *rand.Rand // of the crashes
	cfg   Config
	disk  *vfs.Crash

	acked   *model
	pending *model // what holds once the operation in flight is done; nil if it changes nothing
	points  int
	ops     map[string]int
	every   int // check each n-th write boundary
	seen    int
}

func newCrashRun(t *testing.T, seed uint64, every int) *crashRun {
	r := &crashRun{t: t, rng: rand.New(rand.NewPCG(seed, 1)), chaos: rand.New(rand.NewPCG(seed, 2)),
		disk: vfs.NewCrash(), acked: newModel(), ops: map[string]int{}, every: every}
	r.cfg = testConfig(t, r.disk, "/store")
	r.cfg.SuperblockSize, r.cfg.Reserve, r.cfg.GarbageRatio = 64<<10, 64<<10, 0.3
	r.disk.OnWrite(r.boundary)
	return r
}

// boundary is called before each write, sync, rename and so on.
func (r *crashRun) boundary(op, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen++; r.seen%r.every != 0 || r.t.Failed() {
		return
	}
	r.points++
	r.ops[op]++
	clone := r.disk.Crash(r.chaos)
	if problem := r.check(clone); problem != "" {
		r.t.Errorf("crash point %d, before %s of %s: %s", r.points, op, name, problem)
	}
}

// check recovers a crashed disk and compares it with what was acknowledged.
func (r *crashRun) check(disk *vfs.Crash) string {
	cfg := r.cfg
	cfg.FS = disk
	s, err := Open(context.Background(), cfg)
	if err != nil {
		return fmt.Sprintf("open: %v", err)
	}
	defer s.Close() //nolint:errcheck // closed again below, where it matters
	got, err := observe(s)
	if err != nil {
		return err.Error()
	}
	for _, f := range s.Findings() {
		if f.Kind != FindTornTail {
			return fmt.Sprintf("a crash is taken for rot: %+v", f)
		}
	}
	problem := r.acked.diff(got)
	if problem != "" && r.pending != nil && r.pending.diff(got) == "" {
		problem = ""
	}
	if problem != "" {
		return problem
	}
	// The recovered store goes on, and what it takes now survives too.
	extra := voted(payload(1000, 777), slotOf(200, 1), 0)
	if _, err := s.Append(context.Background(), extra); err != nil {
		return fmt.Sprintf("append after recovery: %v", err)
	}
	got.apply(extra)
	if err := s.Close(); err != nil {
		return err.Error()
	}
	cfg.FS = disk.Crash(r.chaos)
	if s, err = Open(context.Background(), cfg); err != nil {
		return fmt.Sprintf("open after the second crash: %v", err)
	}
	again, err := observe(s)
	if err = errors.Join(err, s.Close()); err != nil {
		return err.Error()
	}
	return got.diff(again)
}

func (r *crashRun) append(s *Store, recs []Record) {
	r.mu.Lock()
	r.pending = r.acked.with(recs)
	r.mu.Unlock()
	if _, err := s.Append(context.Background(), recs...); err != nil {
		r.t.Fatalf("append: %v", err)
	}
	s.ahead.Wait() // one thing at a time, so that a seed is a run
	r.mu.Lock()
	r.acked, r.pending = r.pending, nil
	r.mu.Unlock()
}

func (r *crashRun) run(steps int) {
	s := open(r.t, r.cfg)
	for range steps {
		if r.t.Failed() {
			break
		}
		switch p := r.rng.IntN(40); {
		case p == 0:
			closeStore(r.t, s)
			s = open(r.t, r.cfg)
		case p <= 2:
			if _, err := s.Compact(context.Background()); err != nil {
				r.t.Fatalf("compact: %v", err)
			}
		default:
			r.append(s, randomBatch(r.acked, r.rng, 6000))
		}
	}
	got, err := observe(s)
	if diff := r.acked.diff(got); diff != "" || err != nil {
		r.t.Errorf("at the end: %s %v", diff, err)
	}
	closeStore(r.t, s)
}

// TestCrashAtEveryWrite loses power at write boundaries of appends, seals, compactions
// and reopenings. Batches are in flight one at a time, so each recovery must give the
// acknowledged state, or that and the whole batch in flight.
func TestCrashAtEveryWrite(t *testing.T) {
	ops, points := map[string]int{}, 0
	for i := range uint64(scale(t)) {
		seed := uint64(appendAs)<<32 + i // each version its own
		r := newCrashRun(t, seed, 7)
		r.run(160)
		points += r.points
		for op, n := range r.ops {
			ops[op] += n
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d crash points: %v", points, ops)
	figures := map[string]int64{"crash points": int64(points), "violations": 0}
	for _, op := range []string{"create", "write", "datasync", "sync", "truncate", "preallocate", "rename", "remove", "syncdir"} {
		if ops[op] == 0 {
			t.Errorf("no crash before any %s", op)
		}
		figures["crash points: before "+op] = int64(ops[op])
	}
	soak.Add(t, figures)
}

// TestCrashWithConcurrentAppends loses power while groups of several batches are
// written: every acknowledged batch is there, every other one whole or not at all.
func TestCrashWithConcurrentAppends(t *testing.T) {
	disk := vfs.NewCrash()
	cfg := testConfig(t, disk, "/store")
	var mu sync.Mutex
	acked := map[int]bool{}
	chaos := rand.New(rand.NewPCG(5, 6))
	batch := func(i int) []Record {
		return []Record{
			voted(payload(uint64(2*i), 300+i*13), slotOf(1, uint32(2*i)), 0),
			voted(payload(uint64(2*i+1), 300+i*7), slotOf(1, uint32(2*i+1)), 0),
		}
	}
	const batches = 60
	points := 0
	check := func(op, name string) {
		mu.Lock()
		want := make([]bool, batches)
		for i := range acked {
			want[i] = true
		}
		mu.Unlock()
		points++
		c := cfg
		c.FS = disk.Crash(chaos)
		s, err := Open(context.Background(), c)
		if err != nil {
			t.Errorf("open: %v", err)
			return
		}
		for i := range batches {
			recs := batch(i)
			_, a := s.Lookup(recs[0].Value.Chunk)
			_, b := s.Lookup(recs[1].Value.Chunk)
			if a != b || (want[i] && !a) {
				t.Errorf("before %s of %s: batch %d: %v and %v there, acknowledged %v", op, name, i, a, b, want[i])
			}
		}
		before, err := observe(s)
		if err != nil {
			t.Error(err)
		}
		extra := stored(payload(9999, 40))
		mustAppend(t, s, extra) // behind whatever was cut off
		closeStore(t, s)
		c.FS = c.FS.(*vfs.Crash).Crash(chaos)
		s = open(t, c)
		after, err := observe(s)
		if diff := before.with([]Record{extra}).diff(after); diff != "" || err != nil || len(s.Findings()) != 0 {
			t.Errorf("before %s of %s, reopened: %s %v %v", op, name, diff, err, s.Findings())
		}
		closeStore(t, s)
	}
	boundaries := 0
	var one sync.Mutex // the next file is made beside the groups
	disk.OnWrite(func(op, name string) {
		one.Lock()
		defer one.Unlock()
		if boundaries++; boundaries%6 == 0 && !t.Failed() {
			check(op, name)
		}
	})
	s := open(t, cfg)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range next {
				if _, err := s.Append(context.Background(), batch(i)...); err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				acked[i] = true
				mu.Unlock()
			}
		})
	}
	for i := range batches {
		next <- i
	}
	close(next)
	wg.Wait()
	closeStore(t, s)
	t.Logf("%d crash points", points)
	soak.Add(t, map[string]int64{"crash points": int64(points), "crash points: with concurrent appends": int64(points), "violations": 0})
}
