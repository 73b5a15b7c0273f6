package quicclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testVideo = vstack.VideoID{0x7e, 0x57}

func testSlot(seq uint32) vstack.Slot { return vstack.Slot{Video: testVideo, Track: 1, Seq: seq} }

// chunkOf makes size bytes that differ from any other seed's.
func chunkOf(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// inOrder is a policy that prefers stores in the order of their ids, so that a test
// knows who is asked first; otherwise it is the simple one.
type inOrder struct{}

func (inOrder) Name() string { return "in-order" }

func (inOrder) Decide(v policy.View) policy.Decision {
	for i := range v.Stores {
		s := &v.Stores[i]
		s.Pending, s.RTT = int64(s.Store[15]), 0
		s.Link = policy.LinkQUIC
		s.Measured = true // patience is its minimum
	}
	return policy.NewSimple().Decide(v)
}

func ordered(cfg *Config) { cfg.Policy = inOrder{} }

func ctxFor(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// settled waits until no store owes anything: a request ends a little after its last byte, with
// the trailer, and one that lost the race for a part ends after the read that it was for.
func settled(t *testing.T, cl *Client) {
	t.Helper()
	owes := func(s StoreSignals) bool { return s.Pending != s.Ghosts || s.InFlight != 0 }
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(cl.Stores(), owes); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("requests are pending for ever: %+v", cl.Stores())
		}
	}
}

func TestFetchVerifiesAndMeasures(t *testing.T) {
	c := newCluster(t, 3)
	data := chunkOf(1, 300_000)
	ref := c.put(data, 0, 1, 2)
	cl := c.client(func(cfg *Config) {
		cfg.TLS = c.readerTLS()
		cfg.FallbackAfter, cfg.HandshakeTimeout = time.Minute, time.Minute // whatever the machine does beside it
	})
	got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Data, data) || got.Proto != "h3" || got.Retries != 0 {
		t.Errorf("%d bytes over %s after %d retries", len(got.Data), got.Proto, got.Retries)
	}
	var brought int64
	for _, s := range got.Sources {
		brought += s.Bytes
	}
	if brought != int64(len(data)) || got.Sources[0].Store != got.Store {
		t.Errorf("sources %+v", got.Sources)
	}
	if got.TTFB <= 0 || got.Elapsed < got.TTFB {
		t.Errorf("first byte after %v, all after %v", got.TTFB, got.Elapsed)
	}
	settled(t, cl)
	for _, s := range cl.Stores() {
		if s.Store != got.Store {
			continue
		}
		if !s.Measured || s.RTT <= 0 || s.Link != policy.LinkQUIC || s.ServerRTT != 2*time.Millisecond || s.Loss <= 0 {
			t.Errorf("signals of the path: %+v", s)
		}
		if s.Cwnd != 131072 {
			t.Errorf("congestion window %d, want the trailer's 131072", s.Cwnd)
		}
		if s.Bytes < got.Sources[0].Bytes || s.Chunks < 1 || s.Goodput() <= 0 || s.TTFB <= 0 {
			t.Errorf("signals of own timing: %+v", s)
		}
	}
}

// failures are what one store may do to one read; each must cost a retry, no more.
func failures() map[string]func(w http.ResponseWriter, r *http.Request, data []byte) bool {
	return map[string]func(w http.ResponseWriter, r *http.Request, data []byte) bool{
		"corrupt bytes": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			bad := bytes.Clone(data)
			bad[len(bad)/2] ^= 1
			_ = serveRange(w, r, bad)
			return true
		},
		"a reset mid-body": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:len(data)/2])
			panic(http.ErrAbortHandler)
		},
		"a short body": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			_, _ = w.Write(data[:len(data)-1])
			return true
		},
		"a long body": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			_, _ = w.Write(append(bytes.Clone(data), 0))
			return true
		},
		"another length": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			_ = serveRange(w, r, data[:len(data)-1])
			return true
		},
		"CORRUPT": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			http.Error(w, `{"code":"CORRUPT"}`, http.StatusInternalServerError)
			return true
		},
		"busy": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return true
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return true
		},
		"no content": func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			w.WriteHeader(http.StatusNoContent)
			return true
		},
	}
}

func TestFetchFailsOverAfter(t *testing.T) {
	c := newCluster(t, 3)
	data := chunkOf(2, 200_000)
	ref := c.put(data, 0, 1, 2)
	for name, hook := range failures() {
		for _, how := range []ReadTransport{ReadQUIC, ReadTCP} {
			t.Run(fmt.Sprintf("%s over %s", name, how), func(t *testing.T) {
				c.stores[0].set(func() { c.stores[0].onGet = hook })
				cl := c.client(func(cfg *Config) { ordered(cfg); cfg.ReadTransport = how })
				got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
				if err != nil {
					t.Fatal(err)
				}
				// What came before a failure counts, and is not asked for again; a store whose
				// bytes were wrong brought none. On a starved machine a store falls silent for
				// long enough to be hedged, and whoever is first then wins.
				brought := int64(0)
				for _, s := range got.Sources {
					if s.Store == c.stores[0].id {
						brought += s.Bytes
					}
				}
				if !bytes.Equal(got.Data, data) || name == "corrupt bytes" && brought > 0 {
					t.Errorf("%d bytes, %d of them from the store that fails", len(got.Data), brought)
				}
				if got.Hedges == 0 && got.Retries != 1 && brought < int64(len(data)) {
					t.Errorf("%d retries, %d hedges; want one retry", got.Retries, got.Hedges)
				}
			})
		}
	}
}

func TestFetchSkipsStoreWithoutTheChunk(t *testing.T) {
	c := newCluster(t, 3)
	data := chunkOf(3, 100_000)
	ref := c.put(data, 2)
	cl := c.client(ordered)
	got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil || !bytes.Equal(got.Data, data) || got.Retries != 2 {
		t.Fatalf("%d bytes, %d retries, %v", len(got.Data), got.Retries, err)
	}
	for _, s := range cl.Stores() {
		if s.Ejected {
			t.Errorf("store %s was ejected for an honest 404", s.Store)
		}
	}
}

func TestFetchHedgesASilentStore(t *testing.T) {
	data := chunkOf(4, 500_000)
	// quiet sends so many bytes and then nothing until the test lets it go on.
	quiet := func(sendFirst int, goOn <-chan struct{}, gone chan<- struct{}) func(http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			_, _ = w.Write(data[:sendFirst])
			_ = http.NewResponseController(w).Flush()
			select {
			case <-goOn:
				_, _ = w.Write(data[sendFirst:])
			case <-r.Context().Done():
				close(gone)
			}
			return true
		}
	}
	for _, sendFirst := range []int{0, 1000, 400_000} {
		t.Run(fmt.Sprintf("after %d bytes, and cancels it", sendFirst), func(t *testing.T) {
			c := newCluster(t, 3)
			ref := c.put(data, 0, 1, 2)
			gone := make(chan struct{})
			c.stores[0].onGet = quiet(sendFirst, nil, gone)
			got, err := c.client(ordered).Fetch(ctxFor(t), testSlot(1), ref)
			if err != nil || !bytes.Equal(got.Data, data) {
				t.Fatal(err)
			}
			// On a busy machine the second store is silent for a while, too, and a second
			// hedge is right; no store is asked without one.
			if len(got.Sources) < 2 && sendFirst > 0 || got.Hedges < 1 || got.Retries != 0 {
				t.Errorf("from %+v with %d hedges and %d retries; want what the first one sent, and the rest by a hedge", got.Sources, got.Hedges, got.Retries)
			}
			<-gone // the loser was cancelled
			if n := c.seen("get", 2); n > got.Hedges-1 {
				t.Errorf("with %d hedges the third store was asked %d times", got.Hedges, n)
			}
		})
	}
	t.Run("but the first may still win", func(t *testing.T) {
		c := newCluster(t, 3)
		ref := c.put(data, 0, 1, 2)
		goOn, gone := make(chan struct{}), make(chan struct{})
		c.stores[0].onGet = quiet(1000, goOn, nil)
		c.stores[1].onGet = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			close(goOn) // the hedge has arrived: the first one wakes up
			<-r.Context().Done()
			close(gone)
			return true
		}
		got, err := c.client(ordered).Fetch(ctxFor(t), testSlot(1), ref)
		if err != nil || !bytes.Equal(got.Data, data) {
			t.Fatal(err)
		}
		if got.Store != c.stores[0].id || got.Hedges < 1 {
			t.Errorf("from %s with %d hedges; want the first store", got.Store, got.Hedges)
		}
		<-gone
	})
}

func TestFetchNamesEveryStoreThatFailed(t *testing.T) {
	c := newCluster(t, 5)
	data := chunkOf(5, 50_000)
	ref := c.put(data, 0)
	c.stores[0].onGet = failures()["corrupt bytes"]
	c.stores[1].stop()
	_, err := c.client(func(cfg *Config) { cfg.FetchRounds = 1 }).Fetch(ctxFor(t), testSlot(7), ref)
	var fe *FetchError
	if !errors.As(err, &fe) || !errors.Is(err, vstack.ErrUnavailable) || !errors.Is(err, vstack.ErrHashMismatch) {
		t.Fatalf("got %v", err)
	}
	if len(fe.Stores) != 3 || fe.Slot != testSlot(7) {
		t.Errorf("%+v, want one line a holder", fe)
	}
	for i := range 3 {
		if !strings.Contains(err.Error(), c.stores[i].id.String()) || !strings.Contains(err.Error(), c.stores[i].addr) {
			t.Errorf("store %d is not named in %q", i, err)
		}
	}
	t.Run("as not found when all say so", func(t *testing.T) {
		_, err := c.client(nil).Fetch(ctxFor(t), testSlot(7), vstack.ChunkRef{ID: vstack.ChunkID{9}, Size: 5})
		if !errors.Is(err, vstack.ErrUnavailable) { // store 1 is dead and may have it
			t.Errorf("got %v", err)
		}
		c.stores[1].start(c.stores[1].addr, true)
		_, err = c.client(nil).Fetch(ctxFor(t), testSlot(7), vstack.ChunkRef{ID: vstack.ChunkID{9}, Size: 5})
		if !errors.Is(err, vstack.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFetchTriesAllTargetsInLaterRounds(t *testing.T) {
	c := newCluster(t, 5)
	data := chunkOf(6, 50_000)
	ref := c.put(data, 4)
	got, err := c.client(nil).Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil || got.Store != c.stores[4].id {
		t.Fatalf("from %s, %v; want the fifth target", got.Store, err)
	}
	if n := c.seen("get", 3, 4); n < 1 || n > 2+got.Hedges {
		t.Errorf("the last targets were asked %d times", n)
	}
	if got.Retries < 3 {
		t.Errorf("%d retries; the acceptors come first", got.Retries)
	}
}

func TestFetchAsksForANewerMap(t *testing.T) {
	c := newCluster(t, 4)
	data := chunkOf(7, 50_000)
	ref := c.put(data, 3)
	c.place(1, 1, c.ids(0, 1, 2)...)
	cl := c.client(nil)
	// Warm the client's copy, then move the group.
	if _, err := cl.Fetch(ctxFor(t), testSlot(1), c.put(chunkOf(8, 100), 0, 1, 2)); err != nil {
		t.Fatal(err)
	}
	c.place(2, 2, c.ids(3, 1, 2)...)
	got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
	if err != nil || got.Store != c.stores[3].id {
		t.Fatalf("from %s, %v; want the store of the newer map", got.Store, err)
	}
}

func TestFetchFallsBackToTCPWhereUDPIsBlocked(t *testing.T) {
	c := newCluster(t, 3)
	data := chunkOf(9, 300_000)
	ref := c.put(data, 0, 1, 2)
	for _, s := range c.stores {
		s.stop()
		s.start(s.addr, false)
	}
	cl := c.client(func(cfg *Config) { cfg.FallbackAfter = 50 * time.Millisecond })
	for range 3 {
		got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
		if err != nil || !bytes.Equal(got.Data, data) || got.Proto != "http/1.1" {
			t.Fatalf("%d bytes over %q, %v", len(got.Data), got.Proto, err)
		}
	}
	up := 0
	for _, s := range cl.Stores() {
		if s.Link == policy.LinkTCP {
			up++
		}
	}
	if up == 0 {
		t.Errorf("no store's link is tcp: %+v", cl.Stores())
	}
	_, err := c.client(func(cfg *Config) {
		cfg.ReadTransport, cfg.HandshakeTimeout, cfg.FetchRounds = ReadQUIC, 200*time.Millisecond, 1
	}).Fetch(ctxFor(t), testSlot(1), ref)
	if !errors.Is(err, vstack.ErrUnavailable) {
		t.Errorf("QUIC only: %v", err)
	}
}

func TestKilledStoreIsReplacedAndUsedAgain(t *testing.T) {
	c := newCluster(t, 3)
	data := chunkOf(10, 200_000)
	ref := c.put(data, 0, 1, 2)
	cl := c.client(func(cfg *Config) { ordered(cfg); cfg.IdleTimeout = time.Minute }) // far too late
	fetch := func() Fetched {
		got, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
		if err != nil || !bytes.Equal(got.Data, data) {
			t.Fatal(err)
		}
		return got
	}
	if got := fetch(); got.Store != c.stores[0].id {
		t.Fatalf("the first read came from %s", got.Store)
	}
	c.stores[0].stop()
	if got := fetch(); got.Store == c.stores[0].id || got.Hedges+got.Retries == 0 {
		t.Errorf("after the kill: %+v", got.Delivery)
	}
	c.stores[0].start(c.stores[0].addr, true)
	deadline := time.Now().Add(time.Minute)
	for fetch().Store != c.stores[0].id {
		if time.Now().After(deadline) {
			t.Fatalf("the store was never used again: %+v", cl.Stores())
		}
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	c := newCluster(t, 3)
	ref := c.put(chunkOf(11, 100), 0, 1, 2)
	ctx, cancel := context.WithCancel(ctxFor(t))
	defer cancel()
	var once sync.Once
	left := make(chan struct{})
	for _, s := range c.stores {
		s.onGet = func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			once.Do(func() { // a hedge may arrive later
				cancel()
				<-r.Context().Done()
				close(left)
			})
			<-r.Context().Done()
			return true
		}
	}
	_, err := c.client(nil).Fetch(ctx, testSlot(1), ref)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-left // the store was told
}

func TestCloseEndsFetches(t *testing.T) {
	c := newCluster(t, 3)
	ref := c.put(chunkOf(12, 100), 0, 1, 2)
	asked := make(chan struct{}, 3)
	for _, s := range c.stores {
		s.onGet = func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			asked <- struct{}{}
			<-r.Context().Done()
			return true
		}
	}
	cl := c.client(nil)
	ended := make(chan error, 1)
	go func() {
		_, err := cl.Fetch(ctxFor(t), testSlot(1), ref)
		ended <- err
	}()
	<-asked
	if err := cl.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := cl.Fetch(ctxFor(t), testSlot(1), ref); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestFetchRefusesWhatNoChunkCanBe(t *testing.T) {
	c := newCluster(t, 3)
	cl := c.client(nil)
	for _, ref := range []vstack.ChunkRef{{}, {ID: vstack.ChunkID{1}}, {ID: vstack.ChunkID{1}, Size: vstack.MaxChunkSize + 1}, {Size: 5}} {
		if _, err := cl.Fetch(ctxFor(t), testSlot(1), ref); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%+v: %v", ref, err)
		}
	}
	if c.seen("get") != 0 {
		t.Error("a store was asked")
	}
}

func TestManyFetchesAtOnceReuseBuffersSafely(t *testing.T) {
	c := newCluster(t, 3)
	const n = 24
	refs, want := make([]vstack.ChunkRef, n), make([][]byte, n)
	for i := range refs {
		want[i] = chunkOf(uint64(100+i), 150_000+i)
		refs[i] = c.put(want[i], 0, 1, 2)
	}
	cl := c.client(nil)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for range 3 {
				got, err := cl.Fetch(ctxFor(t), testSlot(uint32(i)), refs[i])
				if err != nil || !bytes.Equal(got.Data, want[i]) {
					t.Errorf("chunk %d: %v", i, err)
					return
				}
				got.Release()
			}
		})
	}
	wg.Wait()
	used := 0
	for _, s := range cl.Stores() {
		if s.Chunks > 0 {
			used++
		}
	}
	settled(t, cl)
	if used != 3 {
		t.Errorf("%d stores delivered, want all three", used)
	}
}
