package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a store of chunks in a map; damaged ones answer ErrCorrupt.
type memory struct {
	mu      sync.Mutex
	chunks  map[vstack.ChunkID][]byte
	damaged map[vstack.ChunkID]bool
	block   chan struct{} // reads wait for it while it is not nil
	broken  bool          // reads panic
	reads   int
}

func newMemory() *memory {
	return &memory{chunks: map[vstack.ChunkID][]byte{}, damaged: map[vstack.ChunkID]bool{}}
}

func (m *memory) put(n int) (vstack.ChunkID, []byte) {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = src.Read(b)
	id := vstack.ChunkIDOf(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chunks[id] = b
	return id, b
}

// waiting counts the reads that came to the disk.
func (m *memory) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// hold lets reads wait from now on.
func (m *memory) hold(until chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.block = until
}

func (m *memory) Size(id vstack.ChunkID) (uint32, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.chunks[id]
	return uint32(len(b)), ok
}

func (m *memory) ReadAt(ctx context.Context, id vstack.ChunkID, p []byte, off int64) (int, error) {
	m.mu.Lock()
	m.reads++
	b, ok := m.chunks[id]
	bad, block, broken := m.damaged[id], m.block, m.broken
	m.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	switch {
	case broken:
		panic("a fault of the program")
	case !ok:
		return 0, vstack.ErrNotFound
	case bad:
		return 0, fmt.Errorf("chunk in /srv/stores/1/000001.sb at 4096: %w", vstack.ErrCorrupt)
	}
	return copy(p, b[off:]), nil
}

// rig is one endpoint that serves chunks from memory.
type rig struct {
	store    *memory
	gate     *Gate
	reader   *Reader
	endpoint *Endpoint
	url      string
	id       vstack.StoreID
	server   *identity.Identity
	client   *identity.Identity
	corrupt  chan vstack.ChunkID
	stop     func() error
}

func newRig(t *testing.T, tune func(*Config, *ReaderConfig)) *rig {
	t.Helper()
	dir := t.TempDir()
	ca, err := identity.CreateCA(dir + "/ca")
	if err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]identity.Role{"h1": identity.RoleHost, "admin": identity.RoleAdmin} {
		err := ca.Issue(dir+"/"+name, identity.Spec{ID: name, Role: role, Addrs: []string{"127.0.0.1"}, ValidFor: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{store: newMemory(), id: vstack.StoreID{7}, corrupt: make(chan vstack.ChunkID, 16)}
	if r.server, err = identity.Load(dir + "/h1"); err != nil {
		t.Fatal(err)
	}
	if r.client, err = identity.Load(dir + "/admin"); err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Addr: "127.0.0.1:0", TLS: r.server.ServerTLS(), ResetKey: r.server.ResetKey(),
		Logger: slog.New(slog.DiscardHandler), Grace: 3 * time.Second,
	}
	rc := ReaderConfig{ID: r.id, Store: r.store, Buffers: NewBuffers(64 << 20), Latency: NewLatency(),
		CorruptPiece: func(id vstack.ChunkID, _ vstack.Piece) { r.corrupt <- id }}
	cfg.Gate = NewGate(64)
	if tune != nil {
		tune(&cfg, &rc)
	}
	rc.Gate, r.gate = cfg.Gate, cfg.Gate
	if r.reader, err = NewReader(rc); err != nil {
		t.Fatal(err)
	}
	routes := []wire.Route{{Method: "GET", Path: "/v1/chunks/{sha256}"}, {Method: "HEAD", Path: "/v1/chunks/{sha256}"}, {Method: "PUT", Path: "/v1/whoami", Roles: vstack.RoleAdmin}, {Method: "GET", Path: livez}}
	cfg.Handler = NewRouter(routes, map[string]http.Handler{
		"GET /v1/chunks/{sha256}":  r.reader,
		"HEAD /v1/chunks/{sha256}": r.reader,
		"GET " + livez:             http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }),
		"PUT /v1/whoami": http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			peer, _ := identity.PeerOf(req.TLS)
			_, _ = io.WriteString(w, peer.ID)
		}),
	}, nil)
	if r.endpoint, err = Listen(cfg); err != nil {
		t.Fatal(err)
	}
	r.url = "https://" + r.endpoint.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.endpoint.Serve(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return r
}

// clients are one a protocol; each is given the TLS configuration of an admin.
func (r *rig) clients(t *testing.T) map[string]*http.Client {
	t.Helper()
	out := map[string]*http.Client{}
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		out[proto] = r.client1(t, proto, r.client.ClientTLS())
	}
	return out
}

func (r *rig) client1(t *testing.T, proto string, tc *tls.Config) *http.Client {
	t.Helper()
	if proto == "HTTP/3.0" {
		tr := &http3.Transport{TLSClientConfig: tc, QUICConfig: &quic.Config{}}
		t.Cleanup(func() { _ = tr.Close() })
		return &http.Client{Transport: tr, Timeout: time.Minute}
	}
	var p http.Protocols
	p.SetHTTP1(proto == "HTTP/1.1")
	p.SetHTTP2(proto == "HTTP/2.0")
	tr := &http.Transport{TLSClientConfig: tc, Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

func (r *rig) get(t *testing.T, c *http.Client, method, path string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: read body: %v", method, path, err)
	}
	return resp, body
}

func TestReadsOverEveryProtocol(t *testing.T) {
	r := newRig(t, nil)
	id, data := r.store.put(2<<20 - 17)
	path, etag := "/v1/chunks/"+id.String(), `"`+id.String()+`"`
	size := strconv.Itoa(len(data))
	for proto, c := range r.clients(t) {
		t.Run(proto, func(t *testing.T) {
			for _, q := range []struct {
				name, method string
				header       map[string]string
				status       int
				body         []byte
				want         map[string]string
			}{
				{"whole", "GET", nil, 200, data, map[string]string{"Content-Length": size, "Etag": etag, "Accept-Ranges": "bytes", "Vstack-Store": r.id.String(), "Timing-Allow-Origin": "*", "Access-Control-Allow-Origin": "*"}},
				{"head", "HEAD", nil, 200, nil, map[string]string{"Content-Length": size, "Etag": etag}},
				{"head ignores Range", "HEAD", map[string]string{"Range": "bytes=0-1"}, 200, nil, map[string]string{"Content-Length": size}},
				{"range", "GET", map[string]string{"Range": "bytes=100-199"}, 206, data[100:200], map[string]string{"Content-Range": "bytes 100-199/" + size, "Content-Length": "100"}},
				{"suffix", "GET", map[string]string{"Range": "bytes=-5"}, 206, data[len(data)-5:], nil},
				{"several ranges are answered whole", "GET", map[string]string{"Range": "bytes=0-1,4-5"}, 200, data, nil},
				{"outside", "GET", map[string]string{"Range": "bytes=3000000-"}, 416, nil, map[string]string{"Content-Range": "bytes */" + size, "Content-Type": wire.ProblemType}},
				{"If-Range holds", "GET", map[string]string{"Range": "bytes=0-9", "If-Range": etag}, 206, data[:10], nil},
				{"If-Range of another", "GET", map[string]string{"Range": "bytes=0-9", "If-Range": `"x"`}, 200, data, nil},
				{"not modified", "GET", map[string]string{"If-None-Match": `"x", ` + etag}, 304, []byte{}, map[string]string{"Etag": etag}},
			} {
				resp, body := r.get(t, c, q.method, path, q.header)
				if resp.Proto != proto || resp.StatusCode != q.status {
					t.Fatalf("%s: got %s %d, want %s %d", q.name, resp.Proto, resp.StatusCode, proto, q.status)
				}
				if q.body != nil && !bytes.Equal(body, q.body) {
					t.Errorf("%s: body of %d bytes differs from the %d wanted", q.name, len(body), len(q.body))
				}
				for k, v := range q.want {
					if got := resp.Header.Get(k); got != v {
						t.Errorf("%s: %s is %q, want %q", q.name, k, got, v)
					}
				}
			}
		})
	}
	if reads, n := r.reader.Served(); reads != 18 || n < int64(9*len(data)) {
		t.Errorf("counted %d reads of %d bytes", reads, n)
	}
}

func TestServerTimingTellsTheSendersView(t *testing.T) {
	r := newRig(t, nil)
	id, _ := r.store.put(1 << 20)
	for proto, c := range r.clients(t) {
		t.Run(proto, func(t *testing.T) {
			resp, _ := r.get(t, c, "GET", "/v1/chunks/"+id.String(), map[string]string{"Te": "trailers"})
			head, ok := wire.ParseServerTiming(resp.Header.Get(wire.HeaderServerTiming))
			if !ok || head.Busy < 1 {
				t.Fatalf("header: %q", resp.Header[wire.HeaderServerTiming])
			}
			tail, hasTail := wire.ParseServerTiming(resp.Trailer.Get(wire.HeaderServerTiming))
			if proto != "HTTP/3.0" {
				if !strings.Contains(resp.Header.Get("Alt-Svc"), "h3=") {
					t.Errorf("no Alt-Svc over TCP: %q", resp.Header.Get("Alt-Svc"))
				}
				return
			}
			if head.RTT <= 0 || head.Cwnd == 0 {
				t.Errorf("header without the path's signals: %+v", head)
			}
			if !hasTail || tail.Sent < 700 { // 1 MiB is more than 700 packets
				t.Errorf("trailer: %v %+v", resp.Trailer, tail)
			}
			if resp, _ := r.get(t, c, "GET", "/v1/chunks/"+id.String(), nil); len(resp.Trailer) != 0 {
				t.Errorf("a trailer nobody asked for: %v", resp.Trailer)
			}
		})
	}
}

func TestDamagedChunkIsACleanError(t *testing.T) {
	r := newRig(t, nil)
	id, _ := r.store.put(1 << 20)
	r.store.damaged[id] = true
	for proto, c := range r.clients(t) {
		t.Run(proto, func(t *testing.T) {
			resp, body := r.get(t, c, "GET", "/v1/chunks/"+id.String(), map[string]string{"Range": "bytes=0-99"})
			resp.Body = io.NopCloser(bytes.NewReader(body))
			if err := wire.ReadError(resp); resp.StatusCode != 500 || !errors.Is(err, vstack.ErrCorrupt) {
				t.Fatalf("got %d %v", resp.StatusCode, err)
			}
			if bytes.Contains(body, []byte("/srv")) {
				t.Errorf("the answer tells readers where files lie: %s", body)
			}
			if resp.Header.Get("Etag") != "" || resp.Header.Get("Content-Range") != "" || strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("the error carries the chunk's headers: %v", resp.Header)
			}
			if got := <-r.corrupt; got != id {
				t.Errorf("told about %s", got.Short())
			}
		})
	}
}

func TestRouterRefuses(t *testing.T) {
	r := newRig(t, nil)
	c := r.client1(t, "HTTP/1.1", r.client.ClientTLS())
	id, _ := r.store.put(100)
	for _, q := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/v1/chunks/" + vstack.ChunkID{1}.String(), 404},
		{"GET", "/v1/chunks/" + strings.ToUpper(id.String()), 400},
		{"GET", "/v1/chunks/xyz", 400},
		{"GET", "/v1/nothing", 404},
		{"GET", "/v1//chunks/" + id.String(), 400},
		{"GET", "/v1/../v1/chunks/" + id.String(), 400},
		{"GET", "/v1/chunks/..%2f..%2fetc%2fpasswd", 400},
		{"POST", "/v1/chunks/" + id.String(), 405},
		{"OPTIONS", "/v1/chunks/" + id.String(), 204},
	} {
		resp, body := r.get(t, c, q.method, q.path, nil)
		if resp.StatusCode != q.status {
			t.Errorf("%s %s: got %d, want %d: %s", q.method, q.path, resp.StatusCode, q.status, body)
		}
		if q.status == 405 && resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("Allow is %q", resp.Header.Get("Allow"))
		}
		if q.status == 400 && resp.Header.Get("Content-Type") != wire.ProblemType {
			t.Errorf("%s is not a problem: %s", q.path, body)
		}
	}
}

func TestClientCertificateReachesTheHandler(t *testing.T) {
	r := newRig(t, nil)
	for proto, c := range r.clients(t) {
		resp, body := r.get(t, c, "PUT", "/v1/whoami", nil)
		if resp.StatusCode != 200 || string(body) != "admin" {
			t.Errorf("%s: got %d %s", proto, resp.StatusCode, body)
		}
		anonymous := r.client.ClientTLS()
		anonymous.GetClientCertificate = nil
		resp, _ = r.get(t, r.client1(t, proto, anonymous), "PUT", "/v1/whoami", nil)
		if resp.StatusCode != 401 {
			t.Errorf("%s without a certificate: got %d", proto, resp.StatusCode)
		}
	}
}

func TestOverloadIsToldAtOnce(t *testing.T) {
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.Gate = NewGate(1) })
	id, _ := r.store.put(100)
	release := make(chan struct{})
	r.store.hold(release)
	c := r.client1(t, "HTTP/2.0", r.client.ClientTLS())
	first := make(chan int, 1)
	go func() {
		resp, err := c.Get(r.url + "/v1/chunks/" + id.String())
		if err != nil {
			first <- 0
			return
		}
		_ = resp.Body.Close()
		first <- resp.StatusCode
	}()
	waitFor(t, func() bool { return r.gate.Busy() == 1 })
	resp, _ := r.get(t, c, "GET", "/v1/chunks/"+id.String(), nil)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	close(release)
	if got := <-first; got != 200 {
		t.Errorf("the request in flight got %d", got)
	}
}

func TestMemoryBudgetMakesReadersWait(t *testing.T) {
	r := newRig(t, func(_ *Config, rc *ReaderConfig) {
		rc.Buffers = NewBuffers(1) // one largest chunk
		rc.QueueTimeout = 50 * time.Millisecond
	})
	id, _ := r.store.put(vstack.MaxChunkSize)
	held, err := r.reader.cfg.Buffers.Get(t.Context(), "a test", vstack.MaxChunkSize)
	if err != nil {
		t.Fatal(err)
	}
	c := r.client1(t, "HTTP/3.0", r.client.ClientTLS())
	resp, _ := r.get(t, c, "GET", "/v1/chunks/"+id.String(), nil)
	if resp.StatusCode != 503 {
		t.Errorf("without memory: got %d", resp.StatusCode)
	}
	held.Release()
	waitFor(t, func() bool { // a busy machine takes longer than the queue's 50 ms for other reasons, too
		resp, body := r.get(t, c, "GET", "/v1/chunks/"+id.String(), nil)
		if resp.StatusCode == 200 && len(body) != vstack.MaxChunkSize {
			t.Fatalf("with memory: %d bytes", len(body))
		}
		return resp.StatusCode == 200
	})
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.MaxConnsPerIP = 1 })
	id, _ := r.store.put(100)
	first := r.client1(t, "HTTP/2.0", r.client.ClientTLS())
	for _, c := range []*http.Client{first, r.client1(t, "HTTP/3.0", r.client.ClientTLS())} { // each transport has its own
		if resp, _ := r.get(t, c, "GET", "/v1/chunks/"+id.String(), nil); resp.StatusCode != 200 {
			t.Fatalf("got %d", resp.StatusCode)
		}
	}
	for _, proto := range []string{"HTTP/2.0", "HTTP/3.0"} {
		if resp, err := r.client1(t, proto, r.client.ClientTLS()).Get(r.url + "/v1/chunks/" + id.String()); err == nil {
			_ = resp.Body.Close()
			t.Errorf("a second connection over %s was let in", proto)
		}
	}
	first.CloseIdleConnections()
	next := r.client1(t, "HTTP/2.0", r.client.ClientTLS())
	waitFor(t, func() bool {
		resp, err := next.Get(r.url + "/v1/chunks/" + id.String())
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == 200
	})
}

func TestShutdownLetsReadsFinish(t *testing.T) {
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.Grace = time.Minute }) // ends with the last read
	id, data := r.store.put(2 << 20)
	release := make(chan struct{})
	r.store.hold(release)
	type answer struct {
		n   int
		err error
	}
	answers := make(chan answer, 3)
	for _, c := range r.clients(t) {
		go func() {
			resp, err := c.Get(r.url + "/v1/chunks/" + id.String())
			if err != nil {
				answers <- answer{0, err}
				return
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			answers <- answer{len(b), err}
		}()
	}
	waitFor(t, func() bool { return r.gate.Busy() == 3 })
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	// New connections are refused while those in flight are still being read.
	waitFor(t, func() bool {
		conn, err := net.DialTimeout("tcp", r.endpoint.Addr(), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	for range 3 {
		if a := <-answers; a.err != nil || a.n != len(data) {
			t.Errorf("a read in flight got %d bytes, %v", a.n, a.err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.HeaderTimeout = 300 * time.Millisecond })
	tc := r.client.ClientTLS()
	tc.ServerName = "127.0.0.1"
	conn, err := tls.Dial("tcp", r.endpoint.Addr(), tc)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/chunks/x HTTP/1.1\r\nHost: a\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("the server still waits for the rest of a header: %v", err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// waitFor polls a condition of another goroutine, for at most a minute.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("condition not reached within a minute")
		}
		time.Sleep(5 * time.Millisecond) // the pace of the polling, not a guess at a duration
	}
}
