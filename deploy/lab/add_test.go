package lab

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

func TestAdd(t *testing.T) {
	dir := t.TempDir()
	l, err := Init(Spec{Dir: dir, FirstIP: "127.9.0.1", Stores: 3, Ports: Ports{API: 9080}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.Add(HostSpec{ID: "h4", Addr: "127.9.0.4"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.listeners(); !h.Outside || cmp.Equal(got[0], "127.9.0.4:9080") {
		t.Errorf("a host that waits to be a member must be ready at %v", got)
	}
	h.Outside = false
	if want := []string{"127.9.0.4:9080", "127.9.0.4:8081", "127.9.0.4:8082", "127.9.0.4:8083", "127.9.0.4:8084", "127.9.0.4:8888"}; !cmp.Equal(h.listeners(), want) {
		t.Errorf("listeners %v, want %v", h.listeners(), want)
	}
	if !h.Config.Meta.Join || len(h.Config.Meta.Peers) != 4 || !h.Config.Has(config.RoleMeta) || h.Config.Data.Stores[2].Dir != filepath.Join(h.Dir, "stores/3") {
		t.Errorf("configuration %+v", h.Config)
	}
	if file, err := os.ReadFile(filepath.Join(h.Dir, config.File)); err != nil || strings.Contains(string(file), l.Hosts[0].Dir) {
		t.Errorf("it has paths of the first host: %s, %v", file, err)
	}
	if id, err := identity.Load(filepath.Join(h.Dir, "tls")); err != nil || id.Peer() != (identity.Peer{ID: "h4", Role: identity.RoleHost, Roles: vstack.RolesHost}) {
		t.Errorf("identity %+v, %v", id, err)
	}
	data, err := l.Add(HostSpec{ID: "h5", Addr: "127.9.0.5"}, false)
	if err != nil || data.Config.Has(config.RoleMeta) || data.Config.Meta.Join || len(data.Config.APIs()) != 3 {
		t.Errorf("a host without a metastore: %+v, %v", data, err)
	}
	for what, spec := range map[string]HostSpec{"a name that is there": {ID: "h2", Addr: "127.9.0.9"}, "an address that is there": {ID: "h9", Addr: "127.9.0.4"}} {
		if _, err := l.Add(spec, true); !errors.Is(err, vstack.ErrAlreadyExists) {
			t.Errorf("%s: %v", what, err)
		}
	}
	again, err := Load(dir)
	if err != nil || len(again.Hosts) != 5 {
		t.Fatalf("loaded %+v, %v", again, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 { // ca, client, hosts
		t.Errorf("left %v, %v", left, err)
	}
}

func TestAHostThatIsAddedToARunningLabStarts(t *testing.T) {
	l := newLab(t)
	for _, h := range l.Hosts {
		run(t, h, "host")
	}
	h, err := l.Add(HostSpec{ID: "h4", Addr: "127.31.0.4"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the added host to serve", func() bool { return strings.Contains(h.LogTail(100), "serving") })
	state := filepath.Join(h.Config.Meta.Dir, "raft", "raft.db")
	if err := os.MkdirAll(filepath.Dir(state), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Forget(); !errors.Is(err, vstack.ErrUnavailable) {
		t.Errorf("forgets while it runs: %v", err)
	}
	if err := h.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Forget(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(h.Config.Meta.Dir); err != nil || len(left) != 0 {
			t.Errorf("left %v, %v", left, err)
		}
	}
	if err := os.Remove(h.Config.Meta.Dir); err != nil {
		t.Fatal(err)
	}
	if err := h.Forget(); err != nil {
		t.Errorf("where there is nothing to forget: %v", err)
	}
}
