package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
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

// TestAStoreWithoutItsKeyIsLeftOut: its other roles go on, and so does a store beside it that is
// not encrypted. The uploader's spool has no key either.
func TestAStoreWithoutItsKeyIsLeftOut(t *testing.T) {
	for _, plain := range []bool{false, true} {
		h := openHost(t)
		cfg := h.cfg
		if err := h.closeAll(); err != nil {
			t.Fatal(err)
		}
		identity := filepath.Join(cfg.TLS, config.IdentityFile)
		if err := os.Rename(identity, identity+".away"); err != nil {
			t.Fatalf("a host that made encrypted stores has an identity: %v", err)
		}
		if plain {
			more := config.Store{Dir: filepath.Join(t.TempDir(), "plain"), Addr: cfg.Data.Stores[0].Addr}
			cfg.Data.Stores[0].Addr = "127.0.0.1:1" // nobody listens there: the store is not opened
			cfg.Data.Stores, cfg.Data.Encrypt = append(cfg.Data.Stores, more), new(bool)
		}
		var said bytes.Buffer
		again := newHost(cfg, h.version, slog.New(slog.NewTextHandler(&said, nil)))
		if err := again.open(t.Context()); err != nil {
			t.Fatalf("the host does not start: %v", err)
		}
		if !strings.Contains(said.String(), "KEY_MISSING") || !strings.Contains(said.String(), "age.key: no such file") {
			t.Errorf("said %s", said.String())
		}
		roles := map[string]bool{}
		for _, p := range again.parts {
			roles[p.name] = true
		}
		if !roles[config.RoleMeta] || !roles[config.RoleGateway] || roles[config.RoleIngest] || roles[config.RoleData] != plain {
			t.Errorf("with a plain store %t, these run: %v", plain, roles)
		}
		if _, err := os.Stat(identity); err == nil && !plain {
			t.Error("a new identity was made, which opens nothing")
		}
		if err := again.closeAll(); err != nil {
			t.Error(err)
		}
	}
}

// TestAMemberWithoutItsKeyIsLeftOut: whether what opens its key file is away, or the key file is.
func TestAMemberWithoutItsKeyIsLeftOut(t *testing.T) {
	for name, lost := range map[string]func(cfg *config.Server) string{
		"the identity": func(cfg *config.Server) string { return filepath.Join(cfg.TLS, config.IdentityFile) },
		"the key file": func(cfg *config.Server) string { return filepath.Join(cfg.Meta.Dir, "key.age") },
	} {
		h := openHost(t)
		cfg := h.cfg
		if err := h.closeAll(); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(filepath.Join(cfg.Meta.Dir, "raft", "origin.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(lost(cfg), lost(cfg)+".away"); err != nil {
			t.Fatalf("%s of a host that is new: %v", name, err)
		}
		var said bytes.Buffer
		again := newHost(cfg, h.version, slog.New(slog.NewTextHandler(&said, nil)))
		if err := again.open(t.Context()); err != nil {
			t.Fatalf("without %s the host does not start: %v", name, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- again.run(ctx) }()
		client := http.Client{Transport: &http.Transport{TLSClientConfig: again.id.ClientTLS()}}
		resp, err := client.Get("https://" + cfg.Meta.Peers[0].API + "/v1/raft/self")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(b), "bring the key back") || !strings.Contains(string(b), "encrypted") {
			t.Errorf("without %s members hear: %s, %v", name, b, err)
		}
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		stop()
		if err := errors.Join(<-ended, again.closeAll()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(said.String(), "KEY_MISSING") {
			t.Errorf("without %s it said %s", name, said.String())
		}
		if after, err := os.ReadFile(filepath.Join(cfg.Meta.Dir, "raft", "origin.json")); err != nil || !bytes.Equal(before, after) {
			t.Errorf("without %s the directory is another's: %v", name, err)
		}
		if err := os.Rename(lost(cfg)+".away", lost(cfg)); err != nil {
			t.Fatal(err)
		}
		back := newHost(cfg, h.version, slog.New(slog.DiscardHandler))
		if err := back.open(t.Context()); err != nil {
			t.Errorf("with %s back: %v", name, err)
		}
		if err := back.closeAll(); err != nil {
			t.Error(err)
		}
	}
}
