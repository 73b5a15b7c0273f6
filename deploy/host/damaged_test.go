package host

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vstack/vstack/deploy/config"
)

// TestADamagedLogStopsTheMemberAlone: stores and uploader of the host go on, and where the
// member served it is said what mends it.
func TestADamagedLogStopsTheMemberAlone(t *testing.T) {
	h := openHost(t, func(cfg *config.Server) {
		dir := filepath.Join(cfg.Meta.Dir, "raft")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "raft.db"), []byte(strings.Repeat("rot", 20_000)), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Meta.Peers = append(cfg.Meta.Peers, config.Peer{ID: "h2", Raft: "127.0.0.1:1", API: "127.0.0.1:1"})
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.run(ctx) }()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: h.id.ClientTLS()}}
	get := func(url string) (int, string) {
		t.Helper()
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	api := "https://" + h.cfg.Meta.Peers[0].API
	if code, body := get(api + "/v1/raft/self"); code != 200 || !strings.Contains(body, `"standing":"damaged"`) || !strings.Contains(body, "vstack raft add h1") {
		t.Errorf("what members hear: %d %s", code, body)
	}
	for _, path := range []string{"/v1/videos", "/readyz", "/metrics"} {
		if code, _ := get(api + path); code != 503 {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, body := get("https://" + h.cfg.Data.Stores[0].Addr + "/livez"); code != 200 {
		t.Errorf("the store: %d %s", code, body)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
