package clients

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vstack/vstack/quicclient/gateway"
	"github.com/vstack/vstack/quicclient/gateway/steer"
)

// twin is one of two gateways that name each other.
type twin struct {
	*httptest.Server
	segments atomic.Int64 // asked of it
	steered  atomic.Bool  // it was asked for the order of gateways
}

// twins makes both; first is called after each answer of the first.
func (s *stand) twins(t *testing.T, first func(*twin)) (a, b *twin) {
	t.Helper()
	var both [2]*twin
	handlers := make([]http.Handler, 2)
	for i := range both {
		w := &twin{}
		w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			handlers[i].ServeHTTP(rw, r)
			switch {
			case strings.HasSuffix(r.URL.Path, "/steering"):
				w.steered.Store(true)
			case strings.HasSuffix(r.URL.Path, ".m4s"):
				w.segments.Add(1)
			}
			if i == 0 {
				first(w)
			}
		}))
		// Two hosts: players give up a host, not a port of it.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Listener.Close() // of its own making
		w.Listener = l
		both[i] = w
	}
	addr := func(i int) *url.URL { return &url.URL{Scheme: "https", Host: both[i].Listener.Addr().String()} }
	names := []string{"h1", "h2"}
	for i, w := range both {
		g, err := gateway.New(gateway.Config{Catalog: s.kept, Chunks: s.kept, Name: names[i],
			Pathways:      []steer.Pathway{{Name: names[1-i], Base: addr(1 - i)}},
			PathwayClient: &http.Client{Transport: insecure()}})
		if err != nil {
			t.Fatal(err)
		}
		handlers[i] = g.Handler()
		w.StartTLS()
		t.Cleanup(func() {
			g.Stop()
			w.Close()
			_ = g.Close() // nothing is left to be told
		})
	}
	return both[0], both[1]
}

// TestPlayersGoOnAtAnotherGateway kills the gateway that a player reads from: content steering
// has named another, and the film goes on there.
func TestPlayersGoOnAtAnotherGateway(t *testing.T) {
	for k, p := range pagePlayers {
		if !soak() && k > 0 {
			continue // the quick form is the first
		}
		t.Run(p.name, func(t *testing.T) {
			need(t, browsers[0].name)
			if _, err := os.Stat(filepath.Join("node_modules", p.file)); err != nil {
				t.Skipf("SKIPPED: %s is not fetched: npm ci in bench/clients", p.name)
			}
			s := theStand(t)
			enough := make(chan struct{})
			ended := sync.OnceFunc(func() { close(enough) })
			a, b := s.twins(t, func(w *twin) {
				if w.steered.Load() && w.segments.Load() >= 4 {
					ended()
				}
			})
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				select {
				case <-enough:
					_ = a.Listener.Close() // what is under way breaks, and nobody gets in again
					a.CloseClientConnections()
				case <-t.Context().Done():
				}
			}()
			found := s.browse(t, 0, p.id, url.Values{"base": {a.URL + "/play/" + s.video.String()}, "through": {"1"}})
			select {
			case <-killed:
			default:
				t.Error("the first gateway was not killed: too few segments were asked of it")
			}
			if p.id == "shaka-hls" && found["to the end"] != "yes" { // as docs/gateway.md says
				t.Logf("OPEN: %s %s stands still: %s", p.name, found["version"], found["to the end"])
			} else if found["error"] != "" || found["to the end"] != "yes" || b.segments.Load() == 0 {
				t.Errorf("error %q, to the end %q (at %s s), %d segments asked of the second gateway", found["error"], found["to the end"], found["at"], b.segments.Load())
			}
			t.Logf("%s %s: %d segments of the first gateway, %d of the second, waited at %q", p.name, found["version"], a.segments.Load(), b.segments.Load(), found["stalled"])
		})
	}
}

// insecure trusts the certificates of these tests' own servers.
func insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // both ends are this test's
}
