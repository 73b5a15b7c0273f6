package lab

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

func TestInit(t *testing.T) {
	t.Run("three loopback hosts with the documented ports", func(t *testing.T) {
		l, err := Init(Spec{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Hosts) != 3 {
			t.Fatalf("%d hosts", len(l.Hosts))
		}
		want := []string{"127.0.0.2:8080", "127.0.0.2:8081", "127.0.0.2:8082", "127.0.0.2:8084", "127.0.0.2:8888"}
		if got := l.Hosts[1].listeners(); !cmp.Equal(got, want) {
			t.Errorf("listeners of h2: %v, want %v", got, want)
		}
		id, err := identity.Load(filepath.Join(l.Hosts[2].Dir, "tls"))
		if err != nil || id.Peer() != (identity.Peer{ID: "h3", Role: identity.RoleHost, Roles: vstack.RolesHost}) {
			t.Errorf("identity of h3: %+v, %v", id, err)
		}
		c, err := config.LoadClient(l.Client, nil, nil)
		if err != nil || len(c.Metastores) != 3 || len(c.Uploaders) != 3 {
			t.Errorf("client bundle: %+v, %v", c, err)
		}
		if admin, err := identity.Load(c.TLS); err != nil || admin.Peer().Role != identity.RoleAdmin {
			t.Errorf("client identity: %v", err)
		}
	})
	t.Run("a fourth store does not take the uploader's port", func(t *testing.T) {
		l, err := Init(Spec{Dir: t.TempDir(), Stores: 4})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Hosts[0].Config.Data.Stores[3].Addr; got != "127.0.0.1:8085" {
			t.Errorf("fourth store at %s", got)
		}
	})
	t.Run("hosts beyond the voters have no metastore", func(t *testing.T) {
		l, err := Init(Spec{Dir: t.TempDir(), Count: 4, FirstIP: "127.9.0.250"})
		if err != nil {
			t.Fatal(err)
		}
		if h := l.Hosts[3]; h.Config.Has(config.RoleMeta) || len(h.Config.APIs()) != 3 {
			t.Errorf("h4: %+v", h.Config)
		}
	})
	t.Run("an existing lab is left alone", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := Init(Spec{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(filepath.Join(dir, "ca/ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Init(Spec{Dir: dir}); !errors.Is(err, vstack.ErrAlreadyExists) {
			t.Errorf("got %v", err)
		}
		if after, err := os.ReadFile(filepath.Join(dir, "ca/ca.crt")); err != nil || !bytes.Equal(before, after) {
			t.Errorf("the authority changed: %v", err)
		}
	})
	t.Run("an interrupted init starts over", func(t *testing.T) {
		dir := t.TempDir()
		if _, err := Init(Spec{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		// As a crash just before the last rename leaves it.
		if err := os.RemoveAll(filepath.Join(dir, "hosts")); err != nil {
			t.Fatal(err)
		}
		l, err := Init(Spec{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Load(l.Client); err != nil {
			t.Errorf("client of the new lab: %v", err)
		}
		left, err := filepath.Glob(filepath.Join(dir, ".init-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	t.Run("too few stores and doubled hosts are refused", func(t *testing.T) {
		if _, err := Init(Spec{Dir: t.TempDir(), Count: 1, Stores: 2}); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("two stores: %v", err)
		}
		twice := []HostSpec{{"a", "10.0.0.1"}, {"b", "10.0.0.1"}}
		if _, err := Init(Spec{Dir: t.TempDir(), Hosts: twice}); !errors.Is(err, vstack.ErrAlreadyExists) {
			t.Errorf("one address twice: %v", err)
		}
	})
}

func TestParseHosts(t *testing.T) {
	got, err := ParseHosts([]string{"a=10.0.0.1", "node2.lan", "c=fd00::3"})
	want := []HostSpec{{"a", "10.0.0.1"}, {"h2", "node2.lan"}, {"c", "fd00::3"}}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "a=", "A=10.0.0.1", "10.0.0.1:80", "a=x/../y"} {
		if got, err := ParseHosts([]string{bad}); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

// tarball makes a gzipped tar of name, body pairs.
func tarball(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	out := tar.NewWriter(zip)
	for i := 0; i < len(pairs); i += 2 {
		if err := out.WriteHeader(&tar.Header{Name: pairs[i], Mode: 0o600, Size: int64(len(pairs[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(pairs[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(out.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func whole() []string {
	return []string{"vstack.yaml", "host: a", "tls/ca.crt", "c", "tls/tls.crt", "d", "tls/tls.key", "e"}
}

func TestParseBundle(t *testing.T) {
	t.Run("a whole one", func(t *testing.T) {
		if files, err := parseBundle(bytes.NewReader(tarball(t, whole()...))); err != nil || string(files["tls/tls.key"]) != "e" {
			t.Errorf("got %v, %v", files, err)
		}
	})
	for name, body := range map[string][]byte{
		"not gzip":           []byte("hello"),
		"a path trick":       tarball(t, append(whole(), "../../etc/passwd", "x")...),
		"a file twice":       tarball(t, append(whole(), "vstack.yaml", "x")...),
		"a missing key":      tarball(t, whole()[:6]...),
		"a file beyond 1 MB": tarball(t, append(whole()[:6], "tls/tls.key", string(make([]byte, maxBundleFile+1)))...),
		"a torn archive":     tarball(t, whole()...)[:80],
	} {
		t.Run(name+" is refused", func(t *testing.T) {
			if files, err := parseBundle(bytes.NewReader(body)); err == nil {
				t.Errorf("got %v", files)
			}
		})
	}
}

func FuzzParseBundle(f *testing.F) {
	f.Add(tarball(f, whole()...))
	f.Add(tarball(f, "../x", "y"))
	f.Fuzz(func(t *testing.T, body []byte) {
		files, err := parseBundle(bytes.NewReader(body))
		if err != nil {
			return
		}
		if len(files) != len(bundleFiles) {
			t.Fatalf("accepted a bundle of %d files", len(files))
		}
	})
}
