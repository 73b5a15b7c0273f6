package viewers

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// films serves a film of three segments whose second one a test may spoil.
func films(t *testing.T, spoil func(w http.ResponseWriter) bool) (*crowd, film) {
	t.Helper()
	bodies := map[string]string{
		"/play/x/master.m3u8": "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"en\",URI=\"2/index.m3u8\"\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"de\",URI=\"3/index.m3u8\"\n" +
			"#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\n1/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\n4/index.m3u8\n",
		"/play/x/1/index.m3u8": "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\n0.m4s\n#EXTINF:4,\n360000.m4s\n",
		"/play/x/2/index.m3u8": "#EXTM3U\n#EXTINF:4,\n0.m4s\n",
		"/play/x/1/init.mp4":   "head", "/play/x/2/init.mp4": "head", "/play/x/1/0.m4s": "one", "/play/x/1/360000.m4s": "two", "/play/x/2/0.m4s": "three",
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/play/x/1/360000.m4s" && spoil != nil && spoil(w) {
			return
		}
		body, ok := bodies[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	c := newCrowd(&tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"})
	client := c.client(0)
	t.Cleanup(client.CloseIdleConnections)
	f, err := open(t.Context(), client, srv.URL+"/play/x/")
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

func TestViewersSeeTheFilmOfTheirPlaylists(t *testing.T) {
	c, f := films(t, nil)
	if got := strings.Join(f.segments, " "); got != "2/init.mp4 2/0.m4s 1/init.mp4 1/0.m4s 1/360000.m4s" {
		t.Errorf("segments %s", got)
	}
	if _, err := c.watch(t.Context(), 5, func(int) film { return f }); err != nil || c.errors.Load() != 0 || c.bytes.Load() != 5*19 {
		t.Errorf("%v, %d errors (%v), %d bytes", err, c.errors.Load(), c.first, c.bytes.Load())
	}
}

func TestWhatIsWrongIsAnError(t *testing.T) {
	for name, spoil := range map[string]func(w http.ResponseWriter, n int64){
		"other bytes":     func(w http.ResponseWriter, n int64) { fmt.Fprint(w, n) },
		"a short body":    func(w http.ResponseWriter, _ int64) { w.Header().Set("Content-Length", "9"); io.WriteString(w, "tw") },
		"a broken answer": func(w http.ResponseWriter, _ int64) { panic(http.ErrAbortHandler) },
		"a status":        func(w http.ResponseWriter, _ int64) { w.WriteHeader(http.StatusServiceUnavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			c, f := films(t, func(w http.ResponseWriter) bool {
				if n.Add(1) > 1 {
					spoil(w, n.Load())
				}
				return n.Load() > 1 // the first viewer sees what is right
			})
			if _, err := c.watch(t.Context(), 3, func(int) film { return f }); err != nil || c.errors.Load() != 2 || c.first == nil {
				t.Errorf("%v, %d errors (%v), want 2", err, c.errors.Load(), c.first)
			}
		})
	}
}
