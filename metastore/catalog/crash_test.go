package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/form"
)

// taken is a snapshot that stands.
type taken struct {
	index uint64
	bytes []byte
}

// disk is all that a member has on its disk, but for its log, which is the cluster's.
type disk struct {
	fs        *vfs.MemFS
	snapshots []taken // the last two, oldest first
	phase     string  // what the member was about
}

// member is a catalog over a disk that may lose power at any operation.
type member struct {
	t      testing.TB
	rng    *rand.Rand
	c      *Catalog
	store  *blobs.Store
	fs     *vfs.MemFS
	failed error

	moment    sync.Mutex // of the disk: files and snapshots change together for who crashes it
	snapshots []taken
	phase     string
	ops       int // until the next crash
	crashes   []disk
}

const crashEvery = 40 // operations of the disk, on average

func openMember(t testing.TB, rng *rand.Rand, d disk) *member {
	t.Helper()
	m := &member{t: t, rng: rng, fs: d.fs, snapshots: d.snapshots, phase: "open", ops: 1 + rng.IntN(2*crashEvery)}
	var err error
	m.store, err = blobs.New(blobs.Config{Dir: "manifests", Key: sealed.NewKey([sealed.KeyLen]byte{5}), Logger: slog.New(slog.DiscardHandler),
		FS: errorfs.Wrap(m.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				m.crash(false)
			}
			return nil
		})), Fatal: func(err error) { m.fail(err) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.store.Open(); err != nil {
		t.Fatalf("after a crash in %s: %v", d.phase, err)
	}
	m.c, err = New(Config{Fatal: m.fail, Logger: slog.New(slog.DiscardHandler), Blobs: m.store, Oldest: func() uint64 {
		m.moment.Lock()
		defer m.moment.Unlock()
		if len(m.snapshots) == 0 {
			return 0
		}
		return m.snapshots[0].index
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *member) fail(err error) {
	m.moment.Lock()
	defer m.moment.Unlock()
	m.failed = errors.Join(m.failed, err)
}

func (m *member) close() {
	if err := m.store.Close(); err != nil {
		m.t.Error(err)
	}
	if m.failed != nil {
		m.t.Errorf("a member failed: %v", m.failed)
	}
}

// crash has the power go now and then, or now; the member goes on beside what is left.
func (m *member) crash(now bool) {
	m.moment.Lock()
	defer m.moment.Unlock()
	if m.ops--; m.ops > 0 && !now {
		return
	}
	m.ops = 1 + m.rng.IntN(2*crashEvery)
	m.crashes = append(m.crashes, disk{
		fs:        m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.rng.IntN(101), RNG: m.rng}),
		snapshots: slices.Clone(m.snapshots), phase: m.phase,
	})
}

func (m *member) about(phase string) {
	m.moment.Lock()
	defer m.moment.Unlock()
	m.phase = phase
}

// stands is the moment at which a snapshot is there: its directory has been renamed.
func (m *member) stands(s taken) {
	m.moment.Lock()
	defer m.moment.Unlock()
	m.snapshots = append(m.snapshots, s)
	if len(m.snapshots) > 2 {
		m.snapshots = m.snapshots[1:]
	}
}

// sink is a snapshot that is being written.
type sink struct {
	bytes.Buffer
	m     *member
	index uint64
}

func (s *sink) ID() string    { return "s" }
func (s *sink) Cancel() error { return nil }
func (s *sink) Close() error {
	s.m.crash(true)
	s.m.stands(taken{s.index, s.Bytes()})
	s.m.crash(true)
	return nil
}

// history is the log, and what a member should have come to at each index of it.
type history struct {
	*driver
	rng  *rand.Rand
	log  []*raft.Log // of index i+1
	sums []string    // the same
	live []int       // videos that are published
	next int
}

// grow adds commands that are accepted and some that are not.
func (h *history) grow(n int) {
	for range n {
		from := h.index
		switch k := h.rng.IntN(10); {
		case k < 5 || len(h.live) == 0:
			h.next++
			h.note(command.OpenUpload, opening(h.next))
			u, err := h.c.View().Upload(upload(h.next))
			if err != nil {
				h.t.Fatal(err)
			}
			h.note(command.Publish, command.PublishPayload{Upload: upload(h.next), Incarnation: u.Incarnation, Manifest: manifestOf(h.next, 1+h.rng.IntN(40))})
			h.live = append(h.live, h.next)
		case k < 8:
			at := h.rng.IntN(len(h.live))
			h.note(command.DeleteVideo, command.DeleteVideoPayload{Video: video(h.live[at])})
			h.live = slices.Delete(h.live, at, at+1)
		default:
			title := fmt.Sprintf("title at %d", from)
			h.note(command.PatchVideo, command.PatchVideoPayload{Video: video(h.rng.IntN(h.next + 2)), Title: &title})
		}
	}
}

func (h *history) note(typ command.Type, payload any) {
	h.index++
	l := entry(h.t, h.index, typ, payload, "")
	h.c.Apply(l)
	h.log, h.sums = append(h.log, l), append(h.sums, checksum(h.t, h.c))
}

func newHistory(t testing.TB, rng *rand.Rand) *history {
	h := &history{driver: &driver{t: t, c: newCatalog(t)}, rng: rng}
	for n := range 3 {
		h.note(command.RegisterStores, registration(n))
	}
	h.note(command.AssignPlacement, command.AssignPlacementPayload{Base: h.index, Groups: plan(3)})
	return h
}

// follow applies the log up to an index, in batches.
func (m *member) follow(h *history, to uint64) {
	for at := m.c.View().Applied(); at < to; {
		n := min(to-at, uint64(1+m.rng.IntN(9)))
		m.c.ApplyBatch(h.log[at : at+n])
		at += n
		m.crash(m.rng.IntN(12) == 0)
	}
}

// agrees holds the member to the history: its checksum, and each manifest.
func (m *member) agrees(h *history, when string) {
	m.t.Helper()
	v := m.c.View()
	at := v.Applied()
	if sum, err := v.Checksum(); err != nil || sum != h.sums[at-1] {
		m.t.Fatalf("%s: at %d the checksum is %s, want %s: %v", when, at, sum, h.sums[at-1], err)
	}
	want := h.c.View()
	for before := uint64(0); ; {
		page, next := v.Videos(vstack.VideoPublished, before, 1000)
		for _, of := range page {
			got, digest, err := v.Manifest(of.ID)
			if err != nil || digest.IsZero() || got.Video != of.ID || len(got.Tracks[0].Chunks) != of.Chunks-1 {
				m.t.Fatalf("%s: manifest of %s at %d: %+v, %v", when, of.ID, at, got, err)
			}
			if m, same, err := want.Manifest(of.ID); err == nil && (same != digest || m.Duration != got.Duration) {
				h.t.Fatalf("%s: manifest of %s is another one", when, of.ID)
			}
		}
		if before = next; next == 0 {
			return
		}
	}
}

// restore is what Raft does at a start: the newest snapshot, then the log.
func (m *member) restore(h *history, to uint64, when string) {
	m.t.Helper()
	if n := len(m.snapshots); n > 0 {
		if err := m.c.Restore(io.NopCloser(bytes.NewReader(m.snapshots[n-1].bytes))); err != nil {
			m.t.Fatalf("%s: %v", when, err)
		}
		m.agrees(h, when+", the snapshot alone")
	}
	m.follow(h, max(to, m.c.View().Applied()))
	m.agrees(h, when)
}

// snapshot takes one while the log goes on.
func (m *member) snapshot(h *history) {
	m.about("a snapshot")
	s, err := m.c.Snapshot()
	if err != nil {
		m.t.Fatal(err)
	}
	index := m.c.View().Applied()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Persist(&sink{m: m, index: index}); err != nil {
			m.t.Error(err)
		}
		m.about("dropping")
		m.crash(m.rng.IntN(4) == 0)
		s.Release()
		m.crash(m.rng.IntN(4) == 0)
	})
	m.follow(h, min(index+uint64(m.rng.IntN(20)), h.index))
	wg.Wait()
}

// install makes another member's snapshot this one's.
func (m *member) install(leader *member) {
	m.about("an install")
	s, err := leader.c.Snapshot()
	if err != nil {
		m.t.Fatal(err)
	}
	defer s.Release()
	index := leader.c.View().Applied()
	if err := s.Persist(&sink{m: leader, index: index}); err != nil {
		m.t.Fatal(err)
	}
	from := leader.snapshots[len(leader.snapshots)-1].bytes
	whole, size, err := form.Whole(leader.store, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(from)), nil })
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := io.ReadAll(whole)
	if err = errors.Join(err, whole.Close()); err != nil || int64(len(b)) != size {
		m.t.Fatalf("a snapshot travels in %d bytes, and says %d: %v", len(b), size, err)
	}
	if !bytes.Equal(b, snapshotOf(m.t, leader.c)) {
		m.t.Fatal("a snapshot that travels is another one than was written as a whole")
	}
	m.stands(taken{index, b})
	m.crash(true)
	if err := m.c.Restore(io.NopCloser(bytes.NewReader(b))); err != nil {
		m.t.Fatal(err)
	}
	m.crash(true)
}

// chance is drawn from by whatever goroutine writes to a disk.
type chance struct {
	mu   sync.Mutex
	from *rand.PCG
}

func (c *chance) Uint64() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from.Uint64()
}

// TestAMemberSurvivesCrashes kills a member's disk in every phase of snapshots, installs, drops
// and compactions, before and after the raise: what is opened again comes to the same catalog,
// with all of its manifests, from either of the snapshots that are kept.
func TestAMemberSurvivesCrashes(t *testing.T) {
	want := 60
	if os.Getenv("VSTACK_SOAK") != "" {
		want = 240
	}
	rng := rand.New(&chance{from: rand.NewPCG(21, 22)})
	h := newHistory(t, rng)
	d := disk{fs: vfs.NewCrashableMem(), phase: "nothing"}
	leader := openMember(t, rng, disk{fs: vfs.NewCrashableMem()})
	defer leader.close()
	phases := map[string]int{}
	checked, parted := 0, 0
	for round := 0; checked < want; round++ {
		if round == 2 {
			h.note(command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.NewestLevel})
		}
		m := openMember(t, rng, d)
		m.restore(h, h.index, "the member that goes on")
		for range 6 {
			h.grow(4 + rng.IntN(12))
			leader.follow(h, h.index)
			switch rng.IntN(4) {
			case 0:
				m.install(leader)
			case 1, 2:
				m.about("the log")
				m.follow(h, h.index)
				m.snapshot(h)
			default:
				m.about("the log")
				m.follow(h, h.index-uint64(rng.IntN(3)))
			}
		}
		m.about("the log")
		m.follow(h, h.index)
		m.agrees(h, "a member that did not crash")
		m.close()
		for i, c := range m.crashes {
			phases[c.phase]++
			when := fmt.Sprintf("round %d, crash %d in %s", round, i, c.phase)
			older := c
			if older.snapshots = c.snapshots[:max(0, len(c.snapshots)-1)]; len(older.snapshots) > 0 && rng.IntN(3) == 0 {
				again := openMember(t, rng, disk{fs: c.fs.CrashClone(vfs.CrashCloneCfg{}), snapshots: older.snapshots, phase: c.phase})
				again.restore(h, h.index, when+", from the snapshot before")
				again.close()
			}
			for _, s := range c.snapshots {
				if form.Named(bytes.NewReader(s.bytes), func(blobs.Digest, uint32) error { return errors.ErrUnsupported }) != nil {
					parted++
					break
				}
			}
			again := openMember(t, rng, disk{fs: c.fs.CrashClone(vfs.CrashCloneCfg{}), snapshots: c.snapshots, phase: c.phase})
			again.restore(h, h.index, when)
			again.close()
			checked++
		}
		if len(m.crashes) > 0 {
			d = m.crashes[rng.IntN(len(m.crashes))]
		} else {
			d = disk{fs: m.fs, snapshots: m.snapshots, phase: "a stop"}
		}
	}
	t.Logf("%d crashes, %d with manifests apart: %v", checked, parted, phases)
	for _, p := range []string{"a snapshot", "an install", "dropping", "the log"} {
		if phases[p] == 0 && want >= 240 { // where a crash falls is chance
			t.Errorf("%d crashes in %s", phases[p], p)
		}
	}
	if parted < want/10 {
		t.Errorf("%d crashes with manifests apart", parted)
	}
}
