package doctor

import (
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/loopback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host makes a lab's first host whose ports nothing else uses.
func host(t *testing.T) (*config.Server, *lab.Lab) {
	t.Helper()
	l, err := lab.Init(lab.Spec{Dir: t.TempDir(), FirstIP: loopback.Subnet(t) + ".1"})
	if err != nil {
		t.Fatal(err)
	}
	return l.Hosts[0].Config, l
}

func TestUDPBuffers(t *testing.T) {
	dir := t.TempDir()
	put := func(name, body string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("rmem_max", "7500000\n")
	put("wmem_max", "212992\n")
	if f := udpBuffers(dir); f.State != Warn || !strings.Contains(f.Detail, "208 KiB") || f.Fix == "" {
		t.Errorf("small write buffer: %+v", f)
	}
	put("wmem_max", "7500000\n")
	if f := udpBuffers(dir); f.State != OK {
		t.Errorf("large buffers: %+v", f)
	}
}

func TestTools(t *testing.T) {
	if f := ffmpeg(t.Context(), "/none/ffmpeg"); f.State != Fail || !strings.Contains(f.Fix, "apt-get install") {
		t.Errorf("missing: %+v", f)
	}
	fake := filepath.Join(t.TempDir(), "ffmpeg")
	script := "#!/bin/sh\ncase \"$*\" in *-encoders*) echo ' A....D aac  AAC';; *) echo 'ffmpeg version 5.1.6-0+deb12u1 Copyright';; esac\n"
	if err := os.WriteFile(fake, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if f := ffmpeg(t.Context(), fake); f.State != Warn || !strings.Contains(f.Detail, "libx264") || !strings.Contains(f.Detail, "5.1.6") {
		t.Errorf("without libx264: %+v", f)
	}
	if f := ffprobe(t.Context(), "/bin/echo"); f.State != Fail {
		t.Errorf("not ffprobe: %+v", f)
	}
}

func TestCertificate(t *testing.T) {
	h, l := host(t)
	if f := certificate(h); f.State != OK {
		t.Errorf("fresh: %+v", f)
	}
	ca, err := identity.LoadCA(filepath.Join(l.Dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	issue := func(id string, validFor time.Duration) {
		t.Helper()
		if err := ca.Issue(h.TLS, identity.Spec{ID: id, Role: identity.RoleHost, Addrs: []string{l.Hosts[0].Addr()}, ValidFor: validFor}); err != nil {
			t.Fatal(err)
		}
	}
	issue("h1", 30*24*time.Hour)
	if f := certificate(h); f.State != OK {
		t.Errorf("one that renews itself, at its begin: %+v", f)
	}
	issue("h1", time.Minute)
	if f := certificate(h); f.State != OK {
		t.Errorf("one of a short life, at its begin: %+v", f)
	}
	for life, want := range map[time.Duration]time.Duration{time.Minute: 18 * time.Second, 30 * 24 * time.Hour: 9 * 24 * time.Hour, 730 * 24 * time.Hour: expiresSoon} {
		if got := ExpiresSoon(life + identity.Backdate); got != want {
			t.Errorf("of a life of %s the last %s are soon, want %s", life, got, want)
		}
	}
	issue("h2", time.Hour*24*365)
	if f := certificate(h); f.State != Fail || !strings.Contains(f.Detail, `"h2"`) {
		t.Errorf("another host's: %+v", f)
	}
	if err := os.Remove(filepath.Join(h.TLS, "tls.key")); err != nil {
		t.Fatal(err)
	}
	if f := certificate(h); f.State != Fail {
		t.Errorf("missing: %+v", f)
	}
}

func TestPorts(t *testing.T) {
	h, _ := host(t)
	if f := Ports(t.Context(), h); f.State != OK || f.Detail != "6 free" {
		t.Errorf("free: %+v", f)
	}
	t.Run("a foreign program on a UDP port", func(t *testing.T) {
		conn, err := net.ListenPacket("udp", h.Data.Stores[1].Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if f := Ports(t.Context(), h); f.State != Fail || !strings.Contains(f.Detail, h.Data.Stores[1].Addr) || !strings.Contains(f.Fix, "8082") {
			t.Errorf("got %+v", f)
		}
	})
	t.Run("the host itself", func(t *testing.T) {
		id, err := identity.Load(h.TLS)
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]string{"host": "h1"})
		}))
		if srv.Listener, err = net.Listen("tcp", h.Ingest.Addr); err != nil {
			t.Fatal(err)
		}
		srv.TLS = id.ServerTLS()
		srv.StartTLS()
		defer srv.Close()
		if f := Ports(t.Context(), h); f.State != OK || f.Detail != "this host runs and serves 1 of 6" {
			t.Errorf("got %+v", f)
		}
		h.Host = "h7" // as if another host of the cluster had its address
		h.Meta.Peers[0].ID = "h7"
		if f := Ports(t.Context(), h); f.State != Fail {
			t.Errorf("another host's process: %+v", f)
		}
	})
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if f := disk(dataDir{path: filepath.Join(dir, "not/made/yet"), holds: "store"}); f.State == Fail || !strings.Contains(f.Detail, "fdatasync p50") {
		t.Errorf("directory to be made: %+v", f)
	}
	if f := disk(dataDir{path: dir, holds: "store", want: 1 << 60}); f.State != Warn || !strings.Contains(f.Detail, "may use") {
		t.Errorf("promised more than there is: %+v", f)
	}
	if f := disk(dataDir{path: "/proc/none", holds: "store"}); f.State != Fail || f.Fix == "" {
		t.Errorf("not writable: %+v", f)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestRun(t *testing.T) {
	h, l := host(t)
	h.Ingest.FFmpeg, h.Ingest.FFprobe = "/none/ffmpeg", "/none/ffprobe"
	peer := h.Ingest.Addr
	findings := Run(t.Context(), Config{Hosts: []*config.Server{h}, Peers: []string{peer}, TLS: l.Client})
	if Worst(findings) != Fail {
		t.Errorf("worst is %s", Worst(findings))
	}
	seen := map[string]State{}
	for _, f := range findings {
		if f.Check == "" || f.Detail == "" || f.State == Fail && f.Fix == "" {
			t.Errorf("says too little: %+v", f)
		}
		seen[f.Check] = f.State
	}
	for check, want := range map[string]State{
		"ffmpeg": Fail, "certificate h1": OK, "ports h1": OK, "host " + peer: Warn,
	} {
		if seen[check] != want {
			t.Errorf("%s: %q, want %s", check, seen[check], want)
		}
	}
}

// TestWhatMendsADirectoryFollowsFromTheError: a full disk is no matter of owners.
func TestWhatMendsADirectoryFollowsFromTheError(t *testing.T) {
	for err, want := range map[error]string{
		&fs.PathError{Op: "write", Err: syscall.ENOSPC}: "make room",
		&fs.PathError{Op: "open", Err: syscall.EROFS}:   "look at the disk",
		&fs.PathError{Op: "open", Err: syscall.EACCES}:  "chown",
		&fs.PathError{Op: "open", Err: syscall.ENOTDIR}: "ls -ld",
	} {
		if got := mendDisk(err, "/d"); !strings.Contains(got, want) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
