package rebuild

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/erasure"
	"github.com/vstack/vstack/internal/vstack"
)

// world is stores that hold pieces of one chunk; the rebuilder is that of the first.
type world struct {
	t     *testing.T
	chunk []byte
	v     vstack.Value
	right [][]byte

	mu      sync.Mutex
	held    []map[vstack.Piece][]byte // by store
	bad     map[vstack.Piece]bool     // of store 0
	dead    map[int]bool
	slow    map[int]time.Duration
	asked   []vstack.Piece
	told    []vstack.Piece // by Rotten
	moved   bool           // the group is other stores: all are Others
	unnamed bool

	r      *Rebuilder
	shared *Shared
}

func storeID(i int) vstack.StoreID { return vstack.StoreID{byte(i + 1)} }

func piece(i int) vstack.Piece { return vstack.Piece{Scheme: vstack.DefaultScheme, I: uint8(i)} }

// newWorld has fragment i of 3+2 at store i.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, chunk: make([]byte, 500_003), bad: map[vstack.Piece]bool{}, dead: map[int]bool{}, slow: map[int]time.Duration{}}
	src := rand.NewChaCha8([32]byte{7})
	_, _ = src.Read(w.chunk)
	w.v = vstack.Value{Chunk: vstack.ChunkIDOf(w.chunk), Size: uint32(len(w.chunk))}
	codec, err := erasure.New(vstack.DefaultScheme)
	if err == nil {
		w.right, err = codec.Encode(w.chunk)
	}
	if err == nil {
		w.shared, err = NewShared(1, 4<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.shared.Close)
	for i := range 5 {
		w.held = append(w.held, map[vstack.Piece][]byte{piece(i): bytes.Clone(w.right[i])})
	}
	w.r, err = New(Config{Disk: w, Locate: w.locate, Ask: w.ask, Shared: w.shared, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Rotten: func(_ vstack.ChunkID, p vstack.Piece) { w.told = append(w.told, p) }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) ID() vstack.StoreID { return storeID(0) }

func (w *world) Pieces(id vstack.ChunkID) (out []superblock.Info) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.held[0] {
		if id == w.v.Chunk {
			out = append(out, superblock.Info{ID: id, Piece: p, Size: w.v.Size, Bad: w.bad[p]})
		}
	}
	return out
}

func (w *world) Fragments(after vstack.ChunkID, _ int) (out []superblock.Info) {
	if after == w.v.Chunk {
		return nil
	}
	for _, info := range w.Pieces(w.v.Chunk) {
		if !info.Piece.IsChunk() {
			out = append(out, info)
		}
	}
	return out
}

func (w *world) ReadPieceAt(_ context.Context, _ vstack.ChunkID, p vstack.Piece, b []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	have, ok := w.held[0][p]
	switch {
	case !ok:
		return 0, vstack.ErrNotFound
	case w.bad[p]:
		return 0, vstack.ErrCorrupt
	}
	return copy(b, have[off:]), nil
}

func (w *world) Condemn(_ vstack.ChunkID, p vstack.Piece, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bad[p] = true
}

func (w *world) locate(vstack.ChunkID) (home Home, ok bool) {
	for i := range w.held {
		s := vstack.Store{ID: storeID(i), State: vstack.StoreUp}
		if w.moved {
			home.Others = append(home.Others, s)
		} else {
			home.Holders = append(home.Holders, Holder{s, vstack.FragmentNumber(i)})
		}
	}
	return home, !w.unnamed
}

func (w *world) ask(ctx context.Context, to vstack.Store, v vstack.Value, p vstack.Piece) (a Answer, err error) {
	i := int(to.ID[0]) - 1
	w.mu.Lock()
	w.asked = append(w.asked, p)
	data, dead, slow := w.held[i][p], w.dead[i], w.slow[i]
	if data == nil {
		for have := range w.held[i] {
			a.Held = append(a.Held, have)
		}
	}
	w.mu.Unlock()
	if i == 0 || v != w.v {
		w.t.Errorf("store %d is asked for %v", i, v)
	}
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
	switch {
	case dead:
		return Answer{}, vstack.ErrUnavailable
	case data == nil:
		return a, vstack.ErrNotFound
	}
	return Answer{Data: bytes.Clone(data)}, nil
}

func (w *world) wantChunk() {
	w.t.Helper()
	if got, err := w.r.Chunk(context.Background(), w.v, vstack.DefaultScheme); err != nil || !bytes.Equal(got, w.chunk) {
		w.t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestAChunkIsMadeWithAnyTwoStoresDead(t *testing.T) {
	for a := range 5 {
		for b := range a {
			w := newWorld(t)
			w.dead[a], w.dead[b] = true, true
			if b == 0 { // this store lost its own
				w.held[0] = nil
			}
			w.wantChunk()
		}
	}
	w := newWorld(t)
	w.dead[1], w.dead[2], w.dead[3] = true, true, true
	if _, err := w.r.Chunk(context.Background(), w.v, vstack.DefaultScheme); !errors.Is(err, vstack.ErrUnavailable) {
		t.Errorf("of two fragments: %v", err)
	}
	w.unnamed = true
	if _, err := w.r.Chunk(context.Background(), w.v, vstack.DefaultScheme); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("of a chunk that nothing names: %v", err)
	}
}

func TestOneMakingServesAllWhoWaitAndThoseAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := 1; i < 5; i++ {
			w.slow[i] = 50 * time.Millisecond
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(w.wantChunk)
		}
		wg.Wait()
		if len(w.asked) != 2 {
			t.Errorf("peers were asked %d times, want 2 beside the fragment here", len(w.asked))
		}
		w.wantChunk()
		if len(w.asked) != 2 {
			t.Error("a chunk that was made just now was made again")
		}
		w.shared.Close()
	})
}

// TestASlowPeerIsNotWaitedFor asks one store more after a while, and one that failed costs
// no time.
func TestASlowPeerIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow[1], w.slow[2] = time.Hour, time.Hour
		began := time.Now()
		w.wantChunk()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("took %s", took)
		}
		w.shared.Close()
	})
}

// TestRotIsFoundThoughEveryPeerIsSlow: the questions that a slow peer caused are given up when
// enough has come. What came is no chunk, for the fragment here is rotten, and they are asked again.
func TestRotIsFoundThoughEveryPeerIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.held[0][piece(0)][1000] ^= 1
		for i := 1; i < 5; i++ {
			w.slow[i] = 3 * w.r.cfg.HedgeAfter
		}
		w.wantChunk()
		if !w.bad[piece(0)] {
			t.Error("the rotten fragment is not condemned")
		}
		w.shared.Close()
	})
}

func TestAGroupThatMovedIsFoundByWhatStoresSayTheyHold(t *testing.T) {
	w := newWorld(t)
	w.moved, w.held[0] = true, nil
	w.dead[2] = true
	w.wantChunk()
}

func TestARottenFragmentIsCondemned(t *testing.T) {
	for name, rot := range map[string][]int{"here": {0}, "at a peer": {3}, "here and at a peer": {0, 4}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var want []vstack.Piece
			for _, i := range rot {
				w.held[i][piece(i)][1000] ^= 1
				if i == 0 {
					want = []vstack.Piece{piece(0)}
				}
			}
			w.wantChunk()
			// Here it is always among those that the chunk is made of.
			if !slices.Equal(w.told, want) || w.bad[piece(0)] != (want != nil) {
				t.Errorf("condemned %v, want %v", w.told, want)
			}
		})
	}
	w := newWorld(t)
	for i := range 3 {
		w.held[i][piece(i)][7] ^= 1
	}
	if _, err := w.r.Chunk(context.Background(), w.v, vstack.DefaultScheme); !errors.Is(err, vstack.ErrHashMismatch) {
		t.Errorf("three of five are rotten: %v", err)
	}
}

func TestAFragmentIsMadeOfTheChunkOrOfOthers(t *testing.T) {
	w := newWorld(t)
	check := func(when string, asks bool) {
		t.Helper()
		w.asked = nil
		for i := range 5 {
			data, leaves, err := w.r.Fragment(context.Background(), w.v, piece(i))
			if err != nil || !bytes.Equal(data, w.right[i]) || !bytes.Equal(leaves, vstack.LeavesOf(w.chunk)) {
				t.Errorf("%s: fragment %d: %v", when, i, err)
			}
		}
		if (len(w.asked) > 0) != asks {
			t.Errorf("%s: peers were asked %d times", when, len(w.asked))
		}
	}
	check("of fragments", true)
	w.held[0][vstack.Piece{}] = bytes.Clone(w.chunk)
	check("the chunk is here", false)
	w.held[0][vstack.Piece{}][5] ^= 1
	check("the chunk here is not the chunk", true)
	if _, _, err := w.r.Fragment(context.Background(), w.v, piece(5)); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("fragment 5 of 3+2: %v", err)
	}
}

func TestProof(t *testing.T) {
	w := newWorld(t)
	prove := func() error { return w.r.Prove(context.Background(), w.v, piece(0)) }
	if err := prove(); err != nil || len(w.told) != 0 {
		t.Errorf("a right one: %v, condemned %v", err, w.told)
	}
	w.held[0][piece(0)][99_999] ^= 4
	w.dead[1], w.dead[2] = true, true
	if err := prove(); !errors.Is(err, vstack.ErrUnavailable) || len(w.told) != 0 {
		t.Errorf("too few to tell: %v, condemned %v", err, w.told)
	}
	w.dead[2] = false
	if err := prove(); !errors.Is(err, vstack.ErrCorrupt) || !slices.Equal(w.told, []vstack.Piece{piece(0)}) {
		t.Errorf("a rotten one: %v, condemned %v", err, w.told)
	}
}

// TestAScrubProvesEveryFragment names what is rotten, leaves open what cannot be told, and
// looks at nothing twice.
func TestAScrubProvesEveryFragment(t *testing.T) {
	w := newWorld(t)
	w.held[0][piece(3)] = bytes.Clone(w.right[3])
	w.held[0][piece(3)][0] ^= 1
	var named []vstack.Piece
	pass := func() Proofs {
		t.Helper()
		named = nil
		p, err := w.r.ProveAll(context.Background(), 1<<30, func(id vstack.ChunkID, p vstack.Piece, err error) {
			if named = append(named, p); id != w.v.Chunk || !errors.Is(err, vstack.ErrCorrupt) {
				t.Errorf("chunk %s: %v", id.Short(), err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := pass(); p != (Proofs{Proven: 1, Rotten: 1}) || !slices.Equal(named, []vstack.Piece{piece(3)}) {
		t.Errorf("%+v, named %v", p, named)
	}
	if p := pass(); p != (Proofs{Proven: 1}) || len(named) != 0 { // what is known is not proven again
		t.Errorf("the next pass: %+v, named %v", p, named)
	}
	w.dead[1], w.dead[2] = true, true
	if p := pass(); p != (Proofs{Open: 1}) || len(named) != 0 {
		t.Errorf("with two stores away: %+v, named %v", p, named)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.r.ProveAll(ctx, 1, func(vstack.ChunkID, vstack.Piece, error) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestMemoryForDecodingIsWaitedForInTurn holds the budget, and wants a clean refusal.
func TestMemoryForDecodingIsWaitedForInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		release, err := w.shared.reserve(context.Background(), w.shared.total)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.r.Chunk(context.Background(), w.v, vstack.DefaultScheme); !errors.Is(err, vstack.ErrUnavailable) || len(w.asked) != 0 {
			t.Errorf("without memory: %v, peers asked %d times", err, len(w.asked))
		}
		time.AfterFunc(time.Second, release)
		w.wantChunk()
		w.shared.Close()
	})
}
