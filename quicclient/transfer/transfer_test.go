package transfer_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/bench/virtual"
	"github.com/vstack/vstack/bench/virtual/site"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
	"github.com/vstack/vstack/quicclient/stores"
	"github.com/vstack/vstack/quicclient/transfer"
)

var slot = vstack.Slot{Video: vstack.VideoID{0xfe}, Track: 1, Seq: 1}

// uncounted counts nothing.
type uncounted struct{}

func (uncounted) Asked()                {}
func (uncounted) Answered()             {}
func (uncounted) Attempt(string)        {}
func (uncounted) Hedge()                {}
func (uncounted) Received(int64, int64) {}

// rig is an engine before the stores of a site.
type rig struct {
	t      *testing.T
	site   *site.Site
	pool   *stores.Pool
	engine *transfer.Engine
}

// run has f use an engine of a policy, on links of 50 Mbit/s and 20 ms, in a bubble.
func run(t *testing.T, p policy.Policy, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		link := virtual.LinkConfig{Rate: 50e6, Delay: 10 * time.Millisecond}
		h := site.HostConfig{Up: link, Down: virtual.LinkConfig{Delay: 10 * time.Millisecond}, Stores: 2}
		s, err := site.Open(site.Config{Dir: t.TempDir(), Seed: 1, Hosts: []site.HostConfig{h, h, h}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r := &rig{t: t, site: s}
		r.pool = stores.NewPool(stores.Config{
			TLS: s.TLS(), Network: s.Viewer, Placement: s.Placement, PlacementMaxAge: time.Minute,
			HandshakeTimeout: 3 * time.Second, IdleTimeout: 5 * time.Second, FallbackAfter: 400 * time.Millisecond, TCPConns: 4,
			Sessions: stores.NewSessions(), Changed: func() { r.engine.Wake() }, Logger: slog.New(slog.DiscardHandler),
			Dials: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dials"}, []string{"result"}),
		})
		defer r.pool.Close()
		r.engine = transfer.New(transfer.Config{Pool: r.pool, Policy: p, Logger: slog.New(slog.DiscardHandler), Counters: uncounted{}})
		r.pool.Spawn(r.engine.Run)
		f(r)
	})
}

func bytesOf(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// put stores a chunk at the slot's acceptors; its fragments are of frag bytes.
func (r *rig) put(data []byte, frag int) transfer.Request {
	ref := vstack.ChunkRef{Seq: slot.Seq, ID: r.site.Put(slot, data), Size: uint32(len(data)), Leaves: vstack.LeavesOf(data).Root()}
	for off := 0; off < len(data); off += frag {
		ref.Fragments = append(ref.Fragments, vstack.Fragment{Size: uint32(min(frag, len(data)-off))})
	}
	return r.request(ref, r.site.Holders(slot)...)
}

func (r *rig) request(ref vstack.ChunkRef, at ...*site.Store) transfer.Request {
	m, err := r.pool.Placement(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []vstack.StoreID
	for _, st := range at {
		ids = append(ids, st.ID)
	}
	return transfer.Request{Slot: slot, Ref: ref, Targets: r.pool.Targets(m, ids)}
}

func (r *rig) read(req transfer.Request) transfer.Result {
	r.t.Helper()
	got, err := r.engine.Read(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// ejected are the stores that are left alone.
func (r *rig) ejected() (out []vstack.StoreID) {
	for _, s := range r.pool.Signals() {
		if s.Ejected {
			out = append(out, s.Store)
		}
	}
	return out
}

func TestFragmentsAreHandedOnWhileTheRestTravels(t *testing.T) {
	run(t, policy.NewSmart(1), func(r *rig) {
		data := bytesOf(1, vstack.ChunkSize)
		req := r.put(data, 256<<10)
		began := time.Now()
		var heads []int
		var first time.Duration
		req.Progress = func(head []byte) {
			if !bytes.Equal(head, data[:len(head)]) {
				t.Fatal("other bytes were handed on")
			}
			if len(heads) > 0 && len(head) <= heads[len(heads)-1] {
				t.Errorf("a head of %d bytes after one of %d", len(head), heads[len(heads)-1])
			}
			if first == 0 && len(head) >= 256<<10 {
				first = time.Since(began)
			}
			heads = append(heads, len(head))
		}
		got := r.read(req)
		all := time.Since(began)
		if !bytes.Equal(got.Data, data) || heads[len(heads)-1] != len(data) {
			t.Fatal("not all of the chunk")
		}
		if first > all*2/3 || len(heads) < 8 {
			t.Errorf("the first fragment came after %v, all after %v, in %d steps", first, all, len(heads))
		}
	})
}

func TestAStoreThatLiesInOneLeafIsNamedAndTheReadGoesOn(t *testing.T) {
	for name, p := range map[string]policy.Policy{"by the default": policy.NewSmart(1), "by one store a chunk": policy.NewSimple()} {
		t.Run(name, func(t *testing.T) {
			run(t, p, func(r *rig) {
				data := bytesOf(2, vstack.ChunkSize)
				req := r.put(data, 256<<10)
				// Whatever this store is asked for, one bit of it is wrong.
				liar := r.site.Holders(slot)[1]
				lied := 0
				liar.Chunks.Corrupt(func(_ vstack.ChunkID, p []byte, _ int64) {
					if len(p) < len(data) { // the table is made of the whole, which is right
						lied++
						p[len(p)/2] ^= 1
					}
				})
				req.Progress = func(head []byte) {
					if !bytes.Equal(head, data[:len(head)]) {
						t.Fatal("wrong bytes were handed on")
					}
				}
				for range 3 { // until the policy has asked the liar
					got := r.read(req)
					if !bytes.Equal(got.Data, data) {
						t.Fatal("wrong bytes")
					}
					if lied > 0 {
						if !slices.Equal(got.Liars, []vstack.StoreID{liar.ID}) || !slices.Contains(r.ejected(), liar.ID) {
							t.Errorf("named %v, ejected %v; want %s", got.Liars, r.ejected(), liar.ID)
						}
						if len(r.ejected()) > 1 {
							t.Errorf("ejected %v", r.ejected())
						}
						return
					}
					if name != "by the default" {
						return // it may never be asked for a part
					}
				}
				t.Error("the liar was never asked")
			})
		})
	}
}

func TestAPoisonedTableEjectsNobody(t *testing.T) {
	run(t, policy.NewSmart(1), func(r *rig) {
		data := bytesOf(3, vstack.ChunkSize)
		req := r.put(data, 256<<10)
		poison := vstack.LeavesOf(bytesOf(4, vstack.ChunkSize))
		for _, h := range r.site.Holders(slot) {
			h.Chunks.Poison(poison)
		}
		got := r.read(req)
		if !bytes.Equal(got.Data, data) {
			t.Fatal("wrong bytes")
		}
		if len(got.Liars) > 0 || len(r.ejected()) > 0 || got.Retries > 0 {
			t.Errorf("named %v, ejected %v, %d retries", got.Liars, r.ejected(), got.Retries)
		}
		// Whoever was asked for a fresh table kept it: the next read is by leaves again.
		var mu sync.Mutex
		parts := 0
		req.Progress = func([]byte) { mu.Lock(); defer mu.Unlock(); parts++ }
		if got := r.read(req); !bytes.Equal(got.Data, data) || parts < 2 {
			t.Errorf("the second read was handed on in %d steps", parts)
		}
	})
}

// TestAKillInMidChunkAsksForNoByteTwice plays a kill until one comes while the victim still
// owes something: which store is asked for how much depends on what came first.
func TestAKillInMidChunkAsksForNoByteTwice(t *testing.T) {
	for range 20 {
		if killInMidChunk(t) > 0 || t.Failed() {
			return
		}
	}
	t.Error("nothing was asked for after a kill: all came too late to mean anything")
}

// killInMidChunk returns how many parts were asked for after the kill.
func killInMidChunk(t *testing.T) (after int) {
	run(t, policy.NewSmart(1), func(r *rig) {
		data := bytesOf(5, vstack.ChunkSize)
		req := r.put(data, 512<<10)
		warm := r.read(req) // connections and rates are there
		warm.Release()
		victim := r.site.Holders(slot)[0]
		killed, had := false, int64(0)
		served := map[*site.Store]int{}
		req.Progress = func(head []byte) {
			if !killed && len(head) >= 512<<10 {
				killed, had = true, int64(len(head))
				for _, h := range r.site.Stores {
					served[h] = len(h.Chunks.Served())
				}
				dead := virtual.LinkConfig{Steps: []virtual.Step{{For: time.Hour, Down: true}}, Once: true}
				r.site.Hosts[victim.Host].Set(dead, dead) // packets are dropped, nobody is told
			}
		}
		began := time.Now()
		got := r.read(req)
		if !killed || !bytes.Equal(got.Data, data) {
			t.Fatalf("killed %v", killed)
		}
		if took := time.Since(began); took > 1500*time.Millisecond {
			t.Errorf("the read took %v", took)
		}
		for _, h := range r.site.Stores {
			for _, s := range h.Chunks.Served()[served[h]:] {
				if after++; s.Off < had {
					t.Errorf("bytes from %d on were asked for again; the first %d had come", s.Off, had)
				}
			}
		}
		var sum int64
		for _, s := range got.Sources {
			sum += s.Bytes
		}
		if sum != int64(len(data)) {
			t.Errorf("sources brought %d bytes of %d", sum, len(data))
		}
	})
	return after
}

func TestManifestsWithoutLeavesAreProvenAsAWhole(t *testing.T) {
	run(t, policy.NewSmart(1), func(r *rig) {
		data := bytesOf(6, vstack.ChunkSize)
		req := r.put(data, 256<<10)
		req.Ref.Leaves, req.Ref.Fragments = vstack.LeafRoot{}, nil
		var heads []int
		req.Progress = func(head []byte) { heads = append(heads, len(head)) }
		if got := r.read(req); !bytes.Equal(got.Data, data) || !slices.Equal(heads, []int{len(data)}) {
			t.Errorf("handed on at %v", heads)
		}
		liar := r.site.Holders(slot)[2]
		liar.Chunks.Corrupt(func(_ vstack.ChunkID, p []byte, _ int64) { p[0] ^= 1 })
		got := r.read(req)
		if !bytes.Equal(got.Data, data) {
			t.Fatal("wrong bytes")
		}
		for _, s := range got.Sources {
			if s.Store == liar.ID {
				t.Error("the liar's bytes are in it")
			}
		}
	})
}

// TestARowComesFromAnyTwoOfThree reads a chunk whose rows have two data shares and an
// exclusive or: any two of three give them.
func TestARowComesFromAnyTwoOfThree(t *testing.T) {
	for name, change := range map[string]func(r *rig, at []*site.Store){
		"all there": func(*rig, []*site.Store) {},
		"a store dead": func(r *rig, at []*site.Store) {
			dead := virtual.LinkConfig{Steps: []virtual.Step{{For: time.Hour, Down: true}}, Once: true}
			r.site.Hosts[at[0].Host].Set(dead, dead)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, policy.NewSmart(1), func(r *rig) {
				data := bytesOf(7, 8*vstack.LeafSize)
				rows, frags := xorRows(data, 2*vstack.LeafSize)
				at := []*site.Store{r.site.Stores[0], r.site.Stores[2], r.site.Stores[4]}
				var ids []vstack.ChunkID
				for i, f := range frags {
					ids = append(ids, r.site.PutAt(f, at[i]))
				}
				rows.Path = func(target int) string { return "/v1/chunks/" + ids[target].String() }
				change(r, at)
				req := r.request(vstack.ChunkRef{Seq: 1, ID: vstack.ChunkIDOf(data), Size: uint32(len(data)), Leaves: vstack.LeavesOf(data).Root()}, at...)
				req.Ref.Leaves = vstack.LeafRoot{} // a fragment here has no table of its chunk
				req.Rows = rows
				ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
				defer cancel()
				got, err := r.engine.Read(ctx, req)
				if err != nil || !bytes.Equal(got.Data, data) {
					t.Fatal(err)
				}
			})
		})
	}
}

// xorRows cuts data into rows of size bytes, each into two halves and their exclusive or.
func xorRows(data []byte, size int) (*transfer.Rows, [3][]byte) {
	rows := &transfer.Rows{Need: 2}
	var frags [3][]byte
	half := size / 2
	for off := 0; off < len(data); off += size {
		a, b := data[off:off+half], data[off+half:off+size]
		parity := make([]byte, half)
		for i := range parity {
			parity[i] = a[i] ^ b[i]
		}
		for i, s := range [][]byte{a, b, parity} {
			frags[i] = append(frags[i], s...)
		}
		rows.List = append(rows.List, transfer.Row{Size: int64(size), Share: int64(half)})
	}
	rows.Join = func(_ int, shares map[int][]byte, dst []byte) error {
		for i := range 2 {
			part, ok := shares[i]
			if !ok {
				part = make([]byte, half)
				for k := range part {
					part[k] = shares[1-i][k] ^ shares[2][k]
				}
			}
			copy(dst[i*half:], part)
		}
		return nil
	}
	return rows, frags
}
