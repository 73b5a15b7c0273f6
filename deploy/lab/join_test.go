package lab

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// site is a lab of three hosts where the authority is, and host b on its machine.
type site struct {
	*Lab
	b string // directory of host b
}

func newSite(t *testing.T) *site {
	t.Helper()
	l, err := Init(Spec{Dir: t.TempDir(), Hosts: []HostSpec{{"a", "10.0.0.1"}, {"b", "10.0.0.2"}, {"c", "10.0.0.3"}}})
	if err != nil {
		t.Fatal(err)
	}
	return &site{Lab: l, b: filepath.Join(t.TempDir(), "host")}
}

// bundle packs a host of the lab.
func (s *site) bundle(t *testing.T, host vstack.HostID) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), string(host)+".tar.gz")
	if err := s.Host(host).Pack(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *site) join(t *testing.T, host vstack.HostID) Joined {
	t.Helper()
	j, err := Join(s.bundle(t, host), s.b)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func key(t *testing.T, dir string) string {
	t.Helper()
	id, err := identity.Load(filepath.Join(dir, tlsDir))
	if err != nil {
		t.Fatal(err)
	}
	return id.SPKIHash()
}

func read(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestJoinMakesAHostThatCanProveItself(t *testing.T) {
	s := newSite(t)
	j := s.join(t, "b")
	if !j.Fresh || j.Config.Host != "b" || j.Config.Data.Stores[0].Dir != filepath.Join(s.b, "stores/1") || len(j.Changed) > 0 {
		t.Errorf("got %+v", j)
	}
	key(t, s.b)
	if st, err := os.Stat(filepath.Join(s.b, "tls/tls.key")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("key: %v %v", st, err)
	}
	if left, err := filepath.Glob(filepath.Join(s.b, ".join-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestJoinTakesARenewedCertificateAndNothingElse(t *testing.T) {
	s := newSite(t)
	s.join(t, "b")
	file := filepath.Join(s.b, config.File)
	ours := strings.Replace(read(t, file), "level: info", "level: debug # for a week", 1)
	if err := os.WriteFile(file, []byte(ours), 0o600); err != nil {
		t.Fatal(err)
	}
	before := key(t, s.b)
	if err := s.Renew(); err != nil {
		t.Fatal(err)
	}
	j := s.join(t, "b")
	if j.Fresh || j.Restart || len(j.Changed) != 1 || !strings.Contains(j.Changed[0], "certificate") {
		t.Errorf("replaced %+v", j)
	}
	if !slices.Contains(j.Kept, "log.level: debug (the bundle has info)") {
		t.Errorf("kept %q", j.Kept)
	}
	if key(t, s.b) == before {
		t.Error("the certificate is the old one")
	}
	if read(t, file) != ours {
		t.Errorf("the configuration changed:\n%s", read(t, file))
	}
}

// TestJoinKeepsOtherAuthorities: while an authority is replaced, hosts trust both.
func TestJoinKeepsOtherAuthorities(t *testing.T) {
	s, other := newSite(t), newSite(t)
	s.join(t, "b")
	ca := filepath.Join(s.b, "tls/ca.crt")
	both := read(t, ca) + read(t, filepath.Join(other.Dir, "ca/ca.crt"))
	if err := os.WriteFile(ca, []byte(both), 0o600); err != nil {
		t.Fatal(err)
	}
	s.join(t, "b")
	if got := read(t, ca); got != both {
		t.Errorf("authorities after it:\n%s", got)
	}
}

func TestJoinMendsACertificateThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	s.join(t, "b")
	if err := os.Remove(filepath.Join(s.b, "tls/tls.crt")); err != nil {
		t.Fatal(err)
	}
	if j := s.join(t, "b"); !strings.Contains(j.Changed[0], "nothing that can be read") {
		t.Errorf("replaced %q", j.Changed)
	}
	key(t, s.b)
}

func TestJoinRefusesWhatIsNotForThisHost(t *testing.T) {
	s, other := newSite(t), newSite(t)
	old := s.bundle(t, "b")
	s.join(t, "b")
	ca, err := identity.LoadCA(filepath.Join(s.Dir, "ca"))
	if err != nil {
		t.Fatal(err)
	}
	newer := func() { // as of a renewal later on: certificates count in seconds
		spec := identity.Spec{ID: "b", Role: identity.RoleHost, Roles: vstack.RolesHost, Addrs: []string{"10.0.0.2"}, ValidFor: time.Hour}
		began := func() time.Time {
			seen, err := identity.Look(filepath.Join(s.b, tlsDir))
			if err != nil {
				t.Fatal(err)
			}
			return seen.NotBefore
		}
		for was := began(); !began().After(was); {
			if err := ca.Issue(filepath.Join(s.b, tlsDir), spec); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		bundle string
		before func()
		want   error
		said   string
	}{
		"another host's":    {s.bundle(t, "c"), nil, vstack.ErrInvalid, `host "b"`},
		"another cluster's": {other.bundle(t, "b"), nil, identity.ErrWrongCA, "another cluster"},
		"an older one":      {old, newer, vstack.ErrInvalid, "newer"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.before != nil {
				tc.before()
			}
			was := read(t, filepath.Join(s.b, "tls/tls.crt"))
			if _, err := Join(tc.bundle, s.b); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.said) {
				t.Errorf("got %v", err)
			}
			if read(t, filepath.Join(s.b, "tls/tls.crt")) != was {
				t.Error("the certificate was replaced")
			}
		})
	}
}

// TestAHostThatMoves: its bundle has its new address, and its member's log is kept where it
// does not count, but not under a process that has it open.
func TestAHostThatMoves(t *testing.T) {
	s := newSite(t)
	j := s.join(t, "b")
	raft := filepath.Join(j.Config.Meta.Dir, "raft")
	if err := os.MkdirAll(raft, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"origin.json": `{"id":"b","raft":"10.0.0.2:7080","api":"10.0.0.2:8080"}`, "raft.db": "x"} {
		if err := os.WriteFile(filepath.Join(raft, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SetAddress("b", "10.0.0.9"); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[vstack.HostID]bool{"a": false, "b": true, "c": false} {
		c := s.Host(host).Config
		if c.Meta.Join != want || c.Meta.Peers[1].Raft != "10.0.0.9:7080" || c.Meta.Peers[0].Raft != "10.0.0.1:7080" {
			t.Errorf("host %s has %+v", host, c.Meta)
		}
	}
	if c, err := config.LoadClient(s.Client, nil, nil); err != nil || c.Metastores[1] != "10.0.0.9:8080" || c.Uploaders[1] != "10.0.0.9:8084" || c.Gateways[1] != "10.0.0.9:8888" {
		t.Errorf("client %+v, %v", c, err)
	}

	db, err := os.Open(filepath.Join(raft, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(db.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	was := read(t, filepath.Join(s.b, config.File))
	if _, err := Join(s.bundle(t, "b"), s.b); !errors.Is(err, vstack.ErrUnavailable) || !strings.Contains(err.Error(), "stopped first") {
		t.Errorf("under a process that runs: %v", err)
	}
	if read(t, filepath.Join(s.b, config.File)) != was {
		t.Error("it changed the configuration of a host that runs")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	j = s.join(t, "b")
	if c := j.Config; !j.Restart || c.Ingest.Addr != "10.0.0.9:8084" || c.Data.Stores[1].Addr != "10.0.0.9:8082" || c.Gateway.Addr != "10.0.0.9:8888" || !c.Meta.Join {
		t.Errorf("host after it: %+v", c)
	}
	if self, _ := j.Config.Self(); self.API != "10.0.0.9:8080" {
		t.Errorf("member at %+v", self)
	}
	kept, err := filepath.Glob(raft + ".until-*/raft.db")
	if _, gone := os.Stat(raft); err != nil || len(kept) != 1 || gone == nil {
		t.Errorf("the log: %v, %v; still in its place: %v", kept, err, gone == nil)
	}
	if again := s.join(t, "b"); len(again.Changed) != 1 || again.Restart {
		t.Errorf("the same again: %+v", again)
	}
}

func TestSetAddressRefuses(t *testing.T) {
	s := newSite(t)
	for what, tc := range map[string]struct {
		host vstack.HostID
		addr string
		want error
	}{"a host that is not there": {"x", "10.0.0.9", vstack.ErrNotFound}, "an address that is taken": {"b", "10.0.0.3", vstack.ErrAlreadyExists}} {
		if _, err := s.SetAddress(tc.host, tc.addr); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	one, err := Init(Spec{Dir: t.TempDir(), Count: 1, Stores: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.SetAddress("h1", "10.0.0.9"); !errors.Is(err, vstack.ErrInvalid) || !strings.Contains(err.Error(), "only member") {
		t.Errorf("the only member: %v", err)
	}
}

// TestAHostThatBecomesAMember keeps what it had for itself, and what it left out of the roles
// that it could have.
func TestAHostThatBecomesAMember(t *testing.T) {
	s := newSite(t)
	if _, err := s.Add(HostSpec{"d", "10.0.0.4"}, false); err != nil {
		t.Fatal(err)
	}
	if c, err := config.LoadClient(s.Client, nil, nil); err != nil || len(c.Metastores) != 3 || c.Uploaders[3] != "10.0.0.4:8084" || c.Gateways[3] != "10.0.0.4:8888" {
		t.Errorf("client %+v, %v", c, err)
	}
	s.join(t, "d")
	file := filepath.Join(s.b, config.File)
	if err := os.WriteFile(file, bytes.Replace([]byte(read(t, file)), []byte("    - gateway\n"), nil, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Promote("d"); err != nil {
		t.Fatal(err)
	}
	if c, err := config.LoadClient(s.Client, nil, nil); err != nil || c.Metastores[3] != "10.0.0.4:8080" || len(c.Uploaders) != 4 {
		t.Errorf("client %+v, %v", c, err)
	}
	j := s.join(t, "d")
	if want := []string{"data", "ingest", "meta"}; !j.Restart || !slices.Equal(j.Config.Roles, want) {
		t.Errorf("roles %v, want %v", j.Config.Roles, want)
	}
	if self, ok := j.Config.Self(); !ok || self.Raft != "10.0.0.4:7080" || !j.Config.Meta.Join || len(j.Config.Meta.Peers) != 4 {
		t.Errorf("member %+v", j.Config.Meta)
	}
	if id, err := identity.Load(j.Config.TLS); err != nil || !id.Peer().Roles.Has(vstack.RoleMeta) {
		t.Errorf("certificate %v", err)
	}
	if _, err := s.Promote("d"); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Errorf("once more: %v", err)
	}
	// A member that is added later is like a member, whichever host comes first.
	if _, err := s.Add(HostSpec{"0", "10.0.0.8"}, false); err != nil {
		t.Fatal(err)
	}
	l, err := Load(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := l.Add(HostSpec{"e", "10.0.0.5"}, true); err != nil || !e.Config.Has(config.RoleMeta) {
		t.Errorf("host e: %+v, %v", e, err)
	}
}
