package datanode

import (
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/watch"
	"github.com/vstack/vstack/internal/wire"
)

// TestCostOfAToken reads a private chunk with a token beside a public one without, in turn, over
// one connection each, and logs what it took. Both are judged: there is a private film.
func TestCostOfAToken(t *testing.T) {
	if os.Getenv("VSTACK_SOAK") == "" {
		t.Skip("SKIPPED: it measures; set VSTACK_SOAK=1 and -v")
	}
	g := newGuarded(t)
	hidden, shown := g.cluster.open(), g.cluster.open()
	private, public := g.put(hidden, 1, random(2<<20), g.n), g.put(shown, 1, random(2<<20), g.n)
	g.publish(hidden, private)
	g.publish(shown, public)
	g.meta.allow(hidden.Video, vstack.Access{Visibility: vstack.VisibilityPrivate})
	token := g.token(func(k *watch.Token) { k.Video = hidden.Video })
	waitFor(t, func() bool {
		free, _, err := g.n.server.follower.Watched(public.ID)
		_, private, perr := g.n.server.follower.Watched(private.ID)
		return err == nil && perr == nil && free && len(private) == 1
	})
	for _, proto := range []string{"HTTP/1.1", "HTTP/3.0"} {
		client := g.http(t, proto, false)
		read := func(c vstack.ChunkID, token string) time.Duration {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+g.n.addr+wire.PathChunks+c.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if token != "" {
				req.Header.Set(watch.Header, token)
			}
			began := time.Now()
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err != nil || n != 2<<20 {
				t.Fatalf("%d, %d bytes, %v", resp.StatusCode, n, err)
			}
			return time.Since(began)
		}
		var with, without []time.Duration
		for i := range 220 {
			a, b := read(private.ID, token), read(public.ID, "")
			if i >= 20 {
				with, without = append(with, a), append(without, b)
			}
		}
		slices.Sort(with)
		slices.Sort(without)
		a, b := with[len(with)/2], without[len(without)/2]
		t.Logf("%s: median of %d with a token %s, without %s: %.3f of its speed", proto, len(with), a, b, float64(b)/float64(a))
	}
}
