package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
	"github.com/vstack/vstack/quicclient/gateway/steer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catalogOf is a catalog of one film.
type catalogOf struct{ m *vstack.Manifest }

func (c catalogOf) Manifest(_ context.Context, id vstack.VideoID) (*vstack.Manifest, error) {
	if id != c.m.Video {
		return nil, fmt.Errorf("video %s: %w", id, vstack.ErrNotFound)
	}
	return c.m, nil
}

func (c catalogOf) Video(context.Context, vstack.VideoID) (vstack.Video, error) {
	return vstack.Video{ID: c.m.Video, Title: "Film"}, nil
}

func (c catalogOf) Videos(context.Context, metaclient.ListOptions) (wire.List[vstack.Video], error) {
	return wire.List[vstack.Video]{Items: []vstack.Video{{ID: c.m.Video}}}, nil
}

func (c catalogOf) RefreshPlacement(context.Context) (*vstack.PlacementMap, error) {
	return &vstack.PlacementMap{Stores: []vstack.Store{{ID: vstack.StoreID{1}, Host: "h1", State: vstack.StoreUp}}}, nil
}

func (catalogOf) Ready(context.Context) error { return nil }

func (catalogOf) Nodes(context.Context) ([]wire.Node, error) {
	return []wire.Node{{Host: "h1", State: vstack.StoreUp}}, nil
}

func (catalogOf) RaftStatus(context.Context) (wire.RaftStatus, error) {
	return wire.RaftStatus{Leader: "h1", Term: 3}, nil
}

func (catalogOf) Redundancy(context.Context) (wire.Redundancy, error) {
	return wire.Redundancy{Videos: 7, Bears: &wire.Bears{Hosts: 1, Stores: 2}, Groups: []wire.GroupBears{{}}}, nil
}

func (c catalogOf) VideoPlacement(context.Context, vstack.VideoID) (wire.VideoPlacement, error) {
	p := wire.VideoPlacement{Video: c.m.Video, HostsCanFail: 1}
	for _, ref := range c.m.Tracks[0].Chunks {
		p.Slots = append(p.Slots, wire.SlotPlacement{Slot: vstack.Slot{Video: c.m.Video, Track: 1, Seq: ref.Seq}, Holders: []vstack.StoreID{{1}}})
	}
	return p, nil
}

// chunksOf holds chunks in memory; gate, if set, holds every fetch back.
type chunksOf struct {
	data    map[vstack.ChunkID][]byte
	fetches atomic.Int64
	hinted  atomic.Int64
	hold    func(ctx context.Context) error
}

func (c *chunksOf) Fetch(ctx context.Context, slot vstack.Slot, ref vstack.ChunkRef) (quicclient.Fetched, error) {
	c.fetches.Add(1)
	if c.hold != nil {
		if err := c.hold(ctx); err != nil {
			return quicclient.Fetched{}, err
		}
	}
	b, ok := c.data[ref.ID]
	if !ok {
		return quicclient.Fetched{}, fmt.Errorf("slot %s: %w", slot, vstack.ErrUnavailable)
	}
	return quicclient.Fetched{Data: b}, nil
}

func (c *chunksOf) Hint(vstack.Video, *vstack.Manifest) { c.hinted.Add(1) }

// box is an MP4 box.
func box(kind string, body []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

// film makes a film of one track whose chunks are media boxes of the given sizes.
func filmOf(sizes ...int) (*vstack.Manifest, *chunksOf) {
	c := &chunksOf{data: map[vstack.ChunkID][]byte{}}
	add := func(seq uint32, b []byte) vstack.ChunkRef {
		id := vstack.ChunkIDOf(b)
		c.data[id] = b
		return vstack.ChunkRef{Seq: seq, ID: id, Size: uint32(len(b)), Start: int64(seq) * 1000, Duration: 1000, Keyframe: true}
	}
	t := vstack.Track{Number: 1, Kind: vstack.TrackVideo, Codec: "avc1.64001f", Timescale: 1000, Init: add(0, box("ftyp", []byte("isom")))}
	for i, n := range sizes {
		t.Chunks = append(t.Chunks, add(uint32(i+1), box("mdat", bytes.Repeat([]byte{byte(i + 1)}, n))))
	}
	return &vstack.Manifest{Version: 1, Video: vstack.VideoID{1}, Duration: float64(len(sizes)), Tracks: []vstack.Track{t}}, c
}

// serve runs a gateway over a film.
func serve(t *testing.T, m *vstack.Manifest, c Chunks, adjust func(*Config)) (*Gateway, *httptest.Server) {
	t.Helper()
	cfg := Config{Catalog: catalogOf{m}, Chunks: c}
	if adjust != nil {
		adjust(&cfg)
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		g.Stop()
		srv.Close()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g, srv
}

func get(t *testing.T, url string, header ...string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b, resp.Header
}

func TestAFileIsItsInitAndItsChunks(t *testing.T) {
	m, c := filmOf(100_000, 200, 300_000)
	_, srv := serve(t, m, c, nil)
	var whole []byte
	whole = append(whole, c.data[m.Tracks[0].Init.ID]...)
	for _, ref := range m.Tracks[0].Chunks {
		whole = append(whole, c.data[ref.ID]...)
	}
	url := fmt.Sprintf("%s/play/%s/1.mp4", srv.URL, m.Video)
	for name, tc := range map[string]struct {
		rng    string
		status int
		want   []byte
	}{
		"whole":                {"", 200, whole},
		"inside the first":     {"bytes=5-9", 206, whole[5:10]},
		"over three chunks":    {"bytes=99990-100400", 206, whole[99990:100401]},
		"open end":             {"bytes=400000-", 206, whole[400000:]},
		"last bytes":           {"bytes=-7", 206, whole[len(whole)-7:]},
		"end beyond the file":  {"bytes=10-99999999", 206, whole[10:]},
		"several":              {"bytes=1-2,5-6", 200, whole},
		"another unit":         {"items=1-2", 200, whole},
		"behind the file":      {"bytes=99999999-", 416, nil},
		"backwards":            {"bytes=9-5", 416, nil},
		"no last bytes at all": {"bytes=-0", 416, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var header []string
			if tc.rng != "" {
				header = []string{"Range", tc.rng}
			}
			status, body, h := get(t, url, header...)
			if status != tc.status || tc.want != nil && !bytes.Equal(body, tc.want) {
				t.Errorf("status %d, %d bytes, want %d, %d", status, len(body), tc.status, len(tc.want))
			}
			if status == 206 && h.Get("Content-Range") == "" {
				t.Error("no Content-Range")
			}
		})
	}
}

func TestASegmentIsFoundByItsStart(t *testing.T) {
	m, c := filmOf(1000, 2000)
	_, srv := serve(t, m, c, nil)
	base := fmt.Sprintf("%s/play/%s/", srv.URL, m.Video)
	if status, body, _ := get(t, base+"1/2000.m4s"); status != 200 || !bytes.Equal(body, c.data[m.Tracks[0].Chunks[1].ID]) {
		t.Errorf("status %d, %d bytes", status, len(body))
	}
	for _, path := range []string{"1/2001.m4s", "1/x.m4s", "1/2000", "2/1000.m4s", "../1", "%2e%2e/%2e%2e/etc/passwd", "65537/index.m3u8", "1/iframes.m3u8"} {
		if status, body, _ := get(t, base+path); status != 404 || !bytes.Contains(body, []byte(`"NOT_FOUND"`)) {
			t.Errorf("%s: status %d, %s", path, status, body)
		}
	}
}

// TestABodyThatCannotGoOnIsReset loses the second chunk of a file: the reader sees a
// broken body, not a short one.
func TestABodyThatCannotGoOnIsReset(t *testing.T) {
	m, c := filmOf(100_000, 1000)
	delete(c.data, m.Tracks[0].Chunks[1].ID)
	_, srv := serve(t, m, c, nil)
	resp, err := http.Get(fmt.Sprintf("%s/play/%s/1.mp4", srv.URL, m.Video))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes and no error", n)
	}
	if status, body, _ := get(t, fmt.Sprintf("%s/play/%s/1/2000.m4s", srv.URL, m.Video)); status != 503 || !bytes.Contains(body, []byte("UNAVAILABLE")) {
		t.Errorf("a chunk that is lost before the first byte: %d %s", status, body)
	}
}

// TestAViewerThatTakesNothingIsCut stops reading: the request ends, and nothing of the
// film is held meanwhile.
func TestAViewerThatTakesNothingIsCut(t *testing.T) {
	m, c := filmOf(8<<20-8, 8<<20-8, 8<<20-8)
	g, srv := serve(t, m, c, func(cfg *Config) { cfg.StepTimeout = 200 * time.Millisecond })
	resp, err := http.Get(fmt.Sprintf("%s/play/%s/1.mp4", srv.URL, m.Video))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	busy := func() int {
		g.gate.mu.Lock()
		defer g.gate.mu.Unlock()
		return g.gate.busy
	}
	for deadline := time.Now().Add(time.Minute); busy() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request of a viewer that reads nothing goes on")
		}
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the body ended as if whole")
	}
}

func TestOneViewerHoldsAnEighthWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(16, time.Second)
		greedy, other, third := netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32"), netip.MustParsePrefix("10.0.0.3/32")
		for i := range 14 { // an idle gate may be used, but for its last eighth
			if err := g.enter(t.Context(), greedy); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		if err := g.enter(t.Context(), greedy); !errors.Is(err, vstack.ErrUnavailable) {
			t.Errorf("the last eighth was given to who had all the rest: %v", err)
		}
		for _, who := range []netip.Prefix{other, third} {
			if err := g.enter(t.Context(), who); err != nil {
				t.Errorf("a newcomer waits in vain: %v", err)
			}
		}
		second := make(chan error, 1)
		go func() { second <- g.enter(t.Context(), other) }()
		again := make(chan error, 1)
		synctest.Wait()
		go func() { again <- g.enter(t.Context(), greedy) }()
		synctest.Wait()
		g.leave(greedy)
		g.leave(greedy)
		g.leave(greedy)
		if err := <-second; err != nil {
			t.Errorf("who holds one waits behind who holds eleven: %v", err)
		}
		g.leave(third)
		if err := <-again; err != nil && !errors.Is(err, vstack.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// TestHostileViewersAreAnsweredAndBounded has one address ask for thousands of segments at once:
// each is answered, nothing is left of it, and a viewer beside it gets its segment.
func TestHostileViewersAreAnsweredAndBounded(t *testing.T) {
	m, c := filmOf(300_000, 300_000, 300_000)
	g, srv := serve(t, m, c, func(cfg *Config) {
		cfg.MaxRequests, cfg.QueueWait, cfg.CacheBytes, cfg.LoadingBytes = 16, 50*time.Millisecond, 1<<20, vstack.MaxChunkSize
	})
	base := fmt.Sprintf("%s/play/%s", srv.URL, m.Video)
	asks := 2_000
	if os.Getenv("VSTACK_SOAK") != "" {
		asks = 10_000
	}
	var wg sync.WaitGroup
	var served, refused, other atomic.Int64
	next := make(chan int)
	for range 200 { // connections of one address
		wg.Go(func() {
			for i := range next {
				resp, err := http.Get(fmt.Sprintf("%s/1/%d000.m4s", base, i%3+1))
				if err != nil {
					other.Add(1)
					continue
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				switch {
				case err == nil && resp.StatusCode == http.StatusOK:
					served.Add(1)
				case resp.StatusCode == http.StatusServiceUnavailable:
					refused.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	for i := range asks {
		next <- i
		if i%500 == 0 { // somebody else, by way of a proxy
			if status, body, _ := get(t, base+"/1/1000.m4s", "X-Forwarded-For", "192.0.2.9"); status != 200 || !bytes.Equal(body, c.data[m.Tracks[0].Chunks[0].ID]) {
				t.Errorf("a viewer beside it: status %d, %d bytes", status, len(body))
			}
		}
	}
	close(next)
	wg.Wait()
	if served.Load() == 0 || served.Load()+refused.Load() != int64(asks) || other.Load() != 0 {
		t.Errorf("%d served, %d refused, %d otherwise of %d", served.Load(), refused.Load(), other.Load(), asks)
	}
	// A handler may still be on its way out when its viewer has the last byte.
	for end := time.Now().Add(5 * time.Second); g.gate.load() > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	g.gate.mu.Lock()
	defer g.gate.mu.Unlock()
	if g.gate.busy != 0 || len(g.gate.held) != 0 || len(g.gate.waiting) != 0 || g.chunks.Flights() != 0 {
		t.Errorf("left: %d requests, %d viewers, %d waiting, %d fetches", g.gate.busy, len(g.gate.held), len(g.gate.waiting), g.chunks.Flights())
	}
}

// TestPlayersAreSteered asks a gateway that knows of another.
func TestPlayersAreSteered(t *testing.T) {
	m, c := filmOf(1000)
	other, err := url.Parse("https://h2.example:8888")
	if err != nil {
		t.Fatal(err)
	}
	_, srv := serve(t, m, c, func(cfg *Config) {
		cfg.Name, cfg.Pathways = "h1", []steer.Pathway{{Name: "h2", Base: other}}
		cfg.PathwayClient = &http.Client{Transport: nowhere{}}
	})
	base := fmt.Sprintf("%s/play/%s/", srv.URL, m.Video)
	if _, body, _ := get(t, base+"master.m3u8"); !bytes.Contains(body, []byte(`SERVER-URI="steering",PATHWAY-ID="h1"`)) {
		t.Errorf("%s", body)
	}
	if _, body, _ := get(t, base+"manifest.mpd"); !bytes.Contains(body, []byte(`serviceLocation="h2">https://h2.example:8888/play/`+m.Video.String()+`/<`)) {
		t.Errorf("%s", body)
	}
	if _, body, _ := get(t, base+"manifest.mpd"); !bytes.Contains(body, []byte(`>`+base+`steering</ContentSteering>`)) {
		t.Errorf("%s", body)
	}
	if status, body, _ := get(t, base+"steering"); status != 200 || !bytes.Contains(body, []byte(`"PATHWAY-PRIORITY":["h1","h2"]`)) {
		t.Errorf("%d %s", status, body)
	}
	_, alone := serve(t, m, c, nil)
	if status, _, _ := get(t, fmt.Sprintf("%s/play/%s/steering", alone.URL, m.Video)); status != 404 {
		t.Errorf("a gateway that knows of no other: %d", status)
	}
}

// nowhere reaches nobody.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("nowhere") }

func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	m, c := filmOf(10)
	_, srv := serve(t, m, c, nil)
	for _, path := range []string{"/", "/upload", "/watch/" + m.Video.String()} {
		status, body, h := get(t, srv.URL+path)
		if status != 200 || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: status %d, policy %q", path, status, h.Get("Content-Security-Policy"))
		}
		for _, bad := range []string{"http://", "https://", "//cdn"} {
			if bytes.Contains(body, []byte(bad)) {
				t.Errorf("%s names %s", path, bad)
			}
		}
	}
	if status, _, _ := get(t, srv.URL+"/assets/..%2f..%2fgo.mod"); status != 404 {
		t.Errorf("a path that leaves the pages: %d", status)
	}
}
