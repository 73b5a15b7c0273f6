package metaclient

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// member is an API that answers as its test says and remembers what it was asked.
type member struct {
	*httptest.Server
	mu      sync.Mutex
	handle  http.HandlerFunc
	headers []http.Header
	queries []string
}

func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.headers = append(m.headers, r.Header.Clone())
	m.queries = append(m.queries, r.URL.RawQuery)
	h := m.handle
	m.mu.Unlock()
	h(w, r)
}

func (m *member) asked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.headers)
}

func (m *member) become(h http.HandlerFunc) {
	m.mu.Lock()
	m.handle = h
	m.mu.Unlock()
}

func serve(t *testing.T, h http.HandlerFunc) *member {
	m := &member{handle: h}
	m.Server = httptest.NewTLSServer(m)
	t.Cleanup(m.Close)
	return m
}

func connect(t *testing.T, adjust func(*Config), members ...*member) *Client {
	t.Helper()
	cfg := Config{TLS: &tls.Config{RootCAs: members[0].Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
		Logger: slog.New(slog.DiscardHandler), Timeout: 30 * time.Second,
		HedgeAfter: time.Minute} // a handshake on a busy machine takes longer than the default
	for _, m := range members {
		cfg.Endpoints = append(cfg.Endpoints, strings.TrimPrefix(m.URL, "https://"))
	}
	if adjust != nil {
		adjust(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func fail(s *vstack.Sentinel) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { wire.WriteError(w, s) }
}

func give(v any, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		_ = json.NewEncoder(w).Encode(v)
	}
}

func TestAWriteKeepsItsRequestIDOverItsAttempts(t *testing.T) {
	up := vstack.Upload{ID: vstack.UploadID{1}, Incarnation: 7}
	a, b := serve(t, fail(vstack.ErrOutcomeUnknown)), serve(t, fail(vstack.ErrNoLeader))
	var once sync.Once
	b.become(func(w http.ResponseWriter, r *http.Request) {
		first := false
		once.Do(func() { first = true })
		if first {
			wire.WriteError(w, vstack.ErrNoLeader)
			return
		}
		give(up)(w, r)
	})
	c := connect(t, nil, a, b)
	got, err := c.OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "t"})
	if err != nil || got.ID != up.ID || got.Incarnation != 7 {
		t.Fatalf("%+v, %v", got, err)
	}
	ids := map[string]bool{}
	for _, h := range append(a.headers, b.headers...) {
		ids[h.Get(wire.HeaderRequestID)] = true
	}
	if len(ids) != 1 || ids[""] || a.asked() != 2 || b.asked() != 2 {
		t.Fatalf("request ids %v over %d and %d attempts", ids, a.asked(), b.asked())
	}
	if _, err := c.OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "t"}); err != nil {
		t.Fatal(err)
	}
	if a.asked() != 2 {
		t.Error("the next call does not begin with the member that answered")
	}
	if last := b.headers[len(b.headers)-1].Get(wire.HeaderRequestID); ids[last] {
		t.Error("two calls share a request id")
	}
}

func TestADefiniteAnswerIsNotRetried(t *testing.T) {
	a, b := serve(t, fail(vstack.ErrFenced)), serve(t, give(vstack.Video{}))
	c := connect(t, nil, a, b)
	if _, err := c.Publish(t.Context(), vstack.UploadID{1}, wire.PublishRequest{}); !errors.Is(err, vstack.ErrFenced) {
		t.Fatalf("%v", err)
	}
	if a.asked() != 1 || b.asked() != 0 {
		t.Errorf("asked %d and %d times", a.asked(), b.asked())
	}
}

func TestADeadEndpointIsPassedOver(t *testing.T) {
	dead, live := serve(t, fail(vstack.ErrInternal)), serve(t, give(vstack.Video{Title: "x"}))
	c := connect(t, nil, dead, live)
	dead.Close()
	for range 3 {
		if v, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil || v.Title != "x" {
			t.Fatalf("%+v, %v", v, err)
		}
	}
}

func TestTheDeadlineEndsTheRetries(t *testing.T) {
	t.Parallel()
	c := connect(t, func(cfg *Config) { cfg.Timeout = 2 * time.Second }, serve(t, fail(vstack.ErrNoLeader)))
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); !errors.Is(err, vstack.ErrNoLeader) {
		t.Errorf("without a leader: %v", err)
	}
	c = connect(t, func(cfg *Config) { cfg.Timeout, cfg.AttemptTimeout = 200*time.Millisecond, 50*time.Millisecond }, serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	start := time.Now()
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); !errors.Is(err, vstack.ErrTimeout) {
		t.Errorf("members that hang: %v", err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %s", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Video(ctx, vstack.VideoID{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	c.Close()
	if _, err := c.Video(t.Context(), vstack.VideoID{1}); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestNoLeaderIsToldThoughOtherMembersAreGone(t *testing.T) {
	t.Parallel()
	alone, gone, goneToo := serve(t, fail(vstack.ErrNoLeader)), serve(t, nil), serve(t, nil)
	gone.Close()
	goneToo.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, order := range [][]*member{{alone, gone, goneToo}, {gone, alone, goneToo}, {gone, goneToo, alone}} {
		c := connect(t, func(cfg *Config) { cfg.Timeout = 2 * time.Second }, order...)
		wg.Go(func() {
			if _, err := c.Video(t.Context(), vstack.VideoID{1}); !errors.Is(err, vstack.ErrNoLeader) {
				t.Errorf("one of three members left: %v", err)
			}
		})
	}
}

func TestAnEmptyAnswerIsNone(t *testing.T) {
	c := connect(t, nil, serve(t, func(http.ResponseWriter, *http.Request) {}), serve(t, give(ready(3))))
	if m, err := c.Placement(t.Context()); err != nil || m.Version != 3 {
		t.Errorf("placement %+v, %v", m, err)
	}
}

func TestReadsFollowTheClientsOwnWrites(t *testing.T) {
	m := serve(t, give(vstack.Video{}, wire.HeaderIndex, "42"))
	c := connect(t, nil, m)
	if _, err := c.PatchVideo(t.Context(), vstack.VideoID{1}, wire.VideoPatch{}); err != nil {
		t.Fatal(err)
	}
	m.become(give(vstack.Video{}, wire.HeaderIndex, "17")) // a member that lags
	for range 2 {
		if _, err := c.Video(t.Context(), vstack.VideoID{1}); err != nil {
			t.Fatal(err)
		}
	}
	if m.queries[0] != "" || m.queries[1] != "min_index=42" || m.queries[2] != "min_index=42" || c.Index() != 42 {
		t.Fatalf("queries %q", m.queries)
	}
}

func ready(version uint64) vstack.PlacementMap {
	return vstack.PlacementMap{Version: version, Groups: make([]vstack.PGTargets, vstack.PlacementGroups)}
}

func TestPlacementIsKeptByItsTag(t *testing.T) {
	m := serve(t, give(vstack.PlacementMap{Version: 1}, "ETag", `"1"`))
	c := connect(t, nil, m)
	for want := 1; want <= 2; want++ {
		if p, err := c.Placement(t.Context()); err != nil || p.Ready() || m.asked() != want {
			t.Fatalf("a map that is not ready must be asked for each time: asked %d, %v", m.asked(), err)
		}
	}
	m.become(give(ready(5), "ETag", `"5"`))
	for range 3 {
		if p, err := c.Placement(t.Context()); err != nil || p.Version != 5 || m.asked() != 3 {
			t.Fatalf("asked %d, %v", m.asked(), err)
		}
	}
	m.become(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"5"` {
			t.Errorf("asked with tag %q", r.Header.Get("If-None-Match"))
		}
		w.WriteHeader(http.StatusNotModified)
	})
	if p, err := c.RefreshPlacement(t.Context()); err != nil || p.Version != 5 {
		t.Fatalf("%v", err)
	}
	m.become(give(ready(4), "ETag", `"4"`)) // a member that lags
	if p, err := c.RefreshPlacement(t.Context()); err != nil || p.Version != 5 {
		t.Fatalf("went back to version %d, %v", p.Version, err)
	}
	m.become(fail(vstack.ErrUnavailable))
	if p, err := c.RefreshPlacement(t.Context()); err != nil || p.Version != 5 {
		t.Fatalf("without any member: %v", err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	m := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"title":"`))
		junk := []byte(strings.Repeat("x", 1<<20))
		for range 9 {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	if _, err := connect(t, nil, m).Video(t.Context(), vstack.VideoID{1}); !errors.Is(err, vstack.ErrTooLarge) {
		t.Fatalf("%v", err)
	}
}

func TestUploadsFollowsPages(t *testing.T) {
	m := serve(t, nil)
	m.become(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("state") != "open" {
			t.Errorf("query %q", r.URL.RawQuery)
		}
		page := wire.List[vstack.Upload]{Items: []vstack.Upload{{ID: vstack.UploadID{1}}}, Next: "9"}
		if r.URL.Query().Get("cursor") == "9" {
			page = wire.List[vstack.Upload]{Items: []vstack.Upload{{ID: vstack.UploadID{2}}}}
		}
		give(page)(w, r)
	})
	got, err := connect(t, nil, m).Uploads(t.Context(), UploadFilter{State: vstack.UploadOpen})
	if err != nil || len(got) != 2 || got[1].ID != (vstack.UploadID{2}) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	good := &tls.Config{}
	for name, cfg := range map[string]Config{
		"no endpoints": {TLS: good},
		"no port":      {TLS: good, Endpoints: []string{"h1"}},
		"no TLS":       {Endpoints: []string{"h1:8080"}},
		"negative":     {TLS: good, Endpoints: []string{"h1:8080"}, Timeout: -1},
	} {
		if _, err := New(cfg); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
