package checkup

import (
	"net"
	"path/filepath"
	"testing"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAHandshakeTellsAStoreFromAHole: one port answers under the cluster's certificate, one
// under a certificate that nobody signed, one swallows what comes.
func TestAHandshakeTellsAStoreFromAHole(t *testing.T) {
	dir := t.TempDir()
	issue := func(name string) *identity.Identity {
		t.Helper()
		ca, err := identity.CreateCA(filepath.Join(dir, name, "ca"))
		if err != nil {
			t.Fatal(err)
		}
		if err := ca.Issue(filepath.Join(dir, name), identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}); err != nil {
			t.Fatal(err)
		}
		id, err := identity.Load(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	ours, other := issue("ours"), issue("other")
	serve := func(id *identity.Identity) string {
		ln, err := quic.ListenAddr("127.0.0.1:0", id.ServerTLS("h3"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln.Addr().String()
	}
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	f := Facts{Doors: []Door{
		{Host: "h1", Addr: serve(ours)}, {Host: "h1", Addr: serve(other), Pages: true},
		{Host: "h1", Addr: serve(other)}, {Host: "h1", Addr: hole.LocalAddr().String()},
	}}
	f.knock(t.Context(), ours.ClientTLS())
	for i, want := range []bool{true, true, false, false} {
		if got := f.Doors[i].Err == nil; got != want {
			t.Errorf("door %d: %v", i, f.Doors[i].Err)
		}
	}
}
