package lab

import (
	"path/filepath"
	"testing"

	"github.com/vstack/vstack/internal/identity"
)

func TestRenewKeepsTheAuthorityAndReplacesTheKeys(t *testing.T) {
	l, err := Init(Spec{Dir: t.TempDir(), FirstIP: "127.33.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	load := func(dir string) *identity.Identity {
		t.Helper()
		id, err := identity.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	dirs := []string{l.Client}
	for _, h := range l.Hosts {
		dirs = append(dirs, filepath.Join(h.Dir, tlsDir))
	}
	var before []string
	for _, d := range dirs {
		before = append(before, load(d).SPKIHash())
	}
	if err := l.Renew(); err != nil {
		t.Fatal(err)
	}
	for i, d := range dirs {
		id := load(d) // checks it against ca.crt
		if id.SPKIHash() == before[i] {
			t.Errorf("%s kept its key", d)
		}
	}
	if p := load(dirs[1]).Peer(); p.ID != "h1" || p.Role != identity.RoleHost {
		t.Errorf("the first host's certificate is of %+v", p)
	}
}
