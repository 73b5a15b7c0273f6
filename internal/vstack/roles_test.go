package vstack_test

import (
	"errors"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestRolesReadWhatTheyWrote(t *testing.T) {
	for r := range vstack.Roles(1 << 5) {
		if got, err := vstack.ParseRoles(r.String()); err != nil || got != r {
			t.Errorf("%05b: %q reads as %05b, %v", r, r, got, err)
		}
	}
	for _, s := range []string{"host", "data,", ",", "Data", "data ingest"} {
		if _, err := vstack.ParseRoles(s); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if !vstack.RolesUnsaid.Has(vstack.RoleData|vstack.RoleAdmin) || vstack.RolesHost.Has(vstack.RoleAdmin) || vstack.Roles(0).Has(vstack.RolesHost) {
		t.Error("Has")
	}
}

func TestAProposerSaysWhoseItIs(t *testing.T) {
	p := vstack.ProposerOf("h1", [8]byte{0xff, 2, 3, 4, 5, 6, 7, 8})
	if !p.Owned() || !p.Of("h1") || p.Of("h2") || p.Of("h") {
		t.Errorf("%s: owned %v, of h1 %v, of h2 %v", p, p.Owned(), p.Of("h1"), p.Of("h2"))
	}
	if other := vstack.ProposerOf("h1", [8]byte{1}); other == p || !other.Of("h1") {
		t.Error("another of the same host")
	}
	if !p.Alongside(vstack.ProposerOf("h1", [8]byte{})) || p.Alongside(vstack.ProposerOf("h2", [8]byte{})) {
		t.Error("alongside its own host's, or another's")
	}
	random := vstack.ProposerID{6: 0x4f, 8: 0x80}
	if random.Owned() || random.Of("h1") || (vstack.ProposerID{}).Owned() {
		t.Error("a random id has an owner")
	}
	if !p.Alongside(random) || random.Alongside(p) {
		t.Error("alongside one that is nobody's, or the other way round")
	}
}
