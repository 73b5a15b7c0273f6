package access

import (
	"errors"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestATicketIsFoundByWhatPeopleHaveOfIt(t *testing.T) {
	a, b := vstack.Ticket{ID: vstack.TicketOf("token")}, vstack.Ticket{ID: vstack.TicketID{0xab, 1}}
	c := vstack.Ticket{ID: vstack.TicketID{0xab, 2}}
	all := []vstack.Ticket{a, b, c}
	for name, want := range map[string]vstack.TicketID{"token": a.ID, a.ID.String(): a.ID, "ab01": b.ID, c.ID.String(): c.ID} {
		if got, err := find(all, name); err != nil || got != want {
			t.Errorf("%q: %s, %v", name, got, err)
		}
	}
	for name, want := range map[string]error{"ab": vstack.ErrInvalid, "": vstack.ErrNotFound, "ff": vstack.ErrNotFound} {
		if _, err := find(all, name); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
