package catalog

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func TestTickets(t *testing.T) {
	d := placed(t)
	ticket := func(n byte, uses int, bytes int64) command.ChangeTicketsPayload {
		return command.ChangeTicketsPayload{Create: &vstack.Ticket{ID: vstack.TicketID{n}, Uses: uses, Bytes: bytes, Created: epoch, Expires: epoch.Add(time.Hour)}}
	}
	use := func(n byte, uses int, size int64) command.ChangeTicketsPayload {
		return command.ChangeTicketsPayload{Use: &command.TicketUse{Ticket: vstack.TicketID{n}, Uses: uses, Size: size}}
	}
	d.refused(vstack.ErrInvalid, command.ChangeTickets, ticket(1, 1, 0))
	d.raise(vstack.LevelPolicy)
	d.refused(vstack.ErrInvalid, command.ChangeTickets, ticket(1, 0, 0))
	late := ticket(1, 1, 0)
	late.Create.Expires = epoch.Add(-time.Hour)
	d.refused(vstack.ErrInvalid, command.ChangeTickets, late)

	before := checksum(t, d.c)
	d.must(command.ChangeTickets, ticket(1, 2, 100))
	if checksum(t, d.c) == before {
		t.Error("a ticket is not in the checksum")
	}
	d.refused(vstack.ErrAlreadyExists, command.ChangeTickets, ticket(1, 2, 100))
	d.must(command.ChangeTickets, ticket(2, 1, 0))
	d.refused(vstack.ErrUnauthenticated, command.ChangeTickets, use(9, 1, 1))
	d.refused(vstack.ErrTooLarge, command.ChangeTickets, use(1, 1, 101))
	d.refused(vstack.ErrTooLarge, command.ChangeTickets, use(1, 1, -1))
	d.must(command.ChangeTickets, use(1, 0, 0)) // a look
	d.must(command.ChangeTickets, use(1, 1, 100))
	d.must(command.ChangeTickets, use(1, 1, 1))
	d.refused(vstack.ErrUnauthenticated, command.ChangeTickets, use(1, 1, 1))
	if left := d.c.View().Tickets(); len(left) != 1 || left[0].ID != (vstack.TicketID{2}) {
		t.Errorf("left: %+v", left)
	}
	restored, _ := newHaltable(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if got := restored.View().Tickets(); len(got) != 1 || got[0] != d.c.View().Tickets()[0] {
		t.Errorf("a snapshot has %+v", got)
	}
	d.must(command.ChangeTickets, command.ChangeTicketsPayload{Drop: vstack.TicketID{2}})
	d.must(command.ChangeTickets, command.ChangeTicketsPayload{Drop: vstack.TicketID{2}})
	d.refused(vstack.ErrUnauthenticated, command.ChangeTickets, use(2, 1, 1))
	for n := range vstack.MaxTickets {
		p := ticket(7, 1, 0)
		p.Create.ID[1], p.Create.ID[2] = byte(n), byte(n>>8)
		d.must(command.ChangeTickets, p)
	}
	d.refused(vstack.ErrTooLarge, command.ChangeTickets, ticket(8, 1, 0))
}
