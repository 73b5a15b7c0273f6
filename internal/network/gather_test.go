package network_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/network"
)

// counted notes the sizes of what is written to a connection.
type counted struct {
	net.Conn
	mu    sync.Mutex
	sizes []int
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.sizes = append(c.sizes, len(p))
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// counting dials connections that count.
type counting struct {
	network.OS
	mu    sync.Mutex
	conns []*counted
}

func (n *counting) Dial(ctx context.Context, nw, addr string) (net.Conn, error) {
	c, err := n.OS.Dial(ctx, nw, addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	counts := &counted{Conn: c}
	n.conns = append(n.conns, counts)
	return counts, nil
}

// bulkServer answers a request with the hash of its body.
func bulkServer(t *testing.T) (*httptest.Server, *counting, *http.Client) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		if n, err := io.Copy(h, r.Body); err != nil || r.ContentLength >= 0 && n != r.ContentLength {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(h.Sum(nil)) // the client judges
	}))
	t.Cleanup(srv.Close)
	n := &counting{}
	conf := srv.Client().Transport.(*http.Transport).TLSClientConfig
	tr := &http.Transport{DialTLSContext: network.DialBulkTLS(n, conf, time.Minute), WriteBufferSize: 32 << 10}
	t.Cleanup(tr.CloseIdleConnections)
	return srv, n, &http.Client{Transport: tr}
}

func TestBulkBodiesArriveWhole(t *testing.T) {
	srv, n, client := bulkServer(t)
	for _, size := range []int{0, 1, 4 << 10, 16<<10 - 1, 16 << 10, 32 << 10, 32<<10 + 1, 64 << 10, 2 << 20, 2<<20 + 12345} {
		body := make([]byte, size)
		_, _ = rand.Read(body)
		// A reader of memory, and one whose length and content net/http has to ask for.
		for name, r := range map[string]io.Reader{"memory": bytes.NewReader(body), "stream": io.MultiReader(bytes.NewReader(body))} {
			resp, err := client.Post(srv.URL, "application/octet-stream", r)
			if err != nil {
				t.Fatalf("%d bytes, %s: %v", size, name, err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want := sha256.Sum256(body); err != nil || !bytes.Equal(got, want[:]) {
				t.Errorf("%d bytes, %s: answer %x, %v; want %x", size, name, got, err, want)
			}
		}
	}
	if len(n.conns) != 1 {
		t.Errorf("%d connections, want one for all: an answer was left on it", len(n.conns))
	}
}

func TestRecordsOfABodyLeaveTogether(t *testing.T) {
	srv, n, client := bulkServer(t)
	const size = 2 << 20
	resp, err := client.Post(srv.URL, "application/octet-stream", bytes.NewReader(make([]byte, size)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	c := n.conns[0]
	c.mu.Lock()
	defer c.mu.Unlock()
	if most := size/(256<<10) + 8; len(c.sizes) > most {
		t.Errorf("%d writes for a body of %d bytes, at most %d: %v", len(c.sizes), size, most, c.sizes)
	}
}

func TestBulkBodyIsNoLongerThanItsRequestSays(t *testing.T) {
	srv, n, client := bulkServer(t)
	wire := func(length int64) (sent int, err error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL, io.NopCloser(bytes.NewReader(make([]byte, 1<<20))))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		client.CloseIdleConnections() // each has a connection, and so a handshake, of its own
		c := n.conns[len(n.conns)-1]
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, k := range c.sizes {
			sent += k
		}
		return sent, err
	}
	whole, err := wire(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	const less = 100 << 10       // more than handshakes and ends differ by
	cut, _ := wire(1<<20 - less) // the server may answer before the client has seen what is wrong
	if cut > whole-less/2 {
		t.Errorf("%d bytes were sent of a body that is %d longer than its request says, %d of one that is as long", cut, less, whole)
	}
}

func TestBulkHandshakeThatStandsStillEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dial := network.DialBulkTLS(network.OS{}, &tls.Config{}, 50*time.Millisecond)
	if c, err := dial(t.Context(), "tcp", ln.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("a handshake with nobody succeeded")
	}
}
