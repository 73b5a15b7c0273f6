package lab

import (
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

// TestALostStoreDoesNotHideItsSuccessor lists a store whose disk was lost beside the new
// one at its address, in both orders: the catalog's order is that of the ids, which are
// random.
func TestALostStoreDoesNotHideItsSuccessor(t *testing.T) {
	store := func(addr string, state vstack.StoreState) vstack.Store {
		return vstack.Store{Addr: addr, State: state}
	}
	up, lost := store("a:1", vstack.StoreUp), store("a:1", vstack.StoreDown)
	for _, c := range []struct {
		name   string
		stores []vstack.Store
		want   string
	}{
		{"the lost one last", []vstack.Store{up, lost}, ""},
		{"the lost one first", []vstack.Store{lost, up}, ""},
		{"only the lost one", []vstack.Store{lost}, "a:1"},
		{"suspect", []vstack.Store{store("a:1", vstack.StoreSuspect)}, "a:1"},
		{"none", nil, "a:1"},
		{"one of two addresses", []vstack.Store{up}, "b:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wanted := []string{"a:1"}
			if c.want == "b:1" {
				wanted = append(wanted, "b:1")
			}
			if got := firstNotUp(c.stores, wanted); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
