package tickets

import (
	"fmt"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// Make draws a ticket and its token.
func Make(req wire.TicketRequest, now time.Time) (t vstack.Ticket, token string, err error) {
	life := 24 * time.Hour
	if req.Life != 0 {
		if req.Life < 0 || req.Life > vstack.MaxTicketLife.Seconds() {
			return t, "", fmt.Errorf("life of %g s: %w: want at most %g", req.Life, vstack.ErrInvalid, vstack.MaxTicketLife.Seconds())
		}
		life = time.Duration(req.Life * float64(time.Second))
	}
	token = vstack.NewTicketToken()
	t = vstack.Ticket{ID: vstack.TicketOf(token), Note: req.Note, Bytes: req.Bytes, Uses: req.Uses, Created: now, Expires: now.Add(life)}
	if t.Uses == 0 {
		t.Uses = 1
	}
	return t, token, t.Check(now)
}

// Good are those that have not expired.
func Good(list []vstack.Ticket, now time.Time) []vstack.Ticket {
	return slices.DeleteFunc(append([]vstack.Ticket{}, list...), func(t vstack.Ticket) bool { return !t.Expires.After(now) })
}

// Change is the list after a command, which the proposer's clock dates; list stays as it is,
// since the views of older indexes have it.
func Change(list []vstack.Ticket, p command.ChangeTicketsPayload, level vstack.Level, now time.Time) ([]vstack.Ticket, error) {
	switch {
	case level < vstack.LevelPolicy:
		return list, fmt.Errorf("tickets: %w: there are none below feature level %d", vstack.ErrInvalid, vstack.LevelPolicy)
	case p.Create != nil:
		return create(list, *p.Create, now)
	case p.Use != nil:
		return use(list, *p.Use, now)
	}
	return orNil(slices.DeleteFunc(slices.Clone(list), func(t vstack.Ticket) bool { return t.ID == p.Drop })), nil
}

// create adds a ticket. Those that have expired go.
func create(list []vstack.Ticket, t vstack.Ticket, now time.Time) ([]vstack.Ticket, error) {
	if err := t.Check(now); err != nil {
		return list, err
	}
	rest := Good(list, now)
	if slices.ContainsFunc(rest, func(o vstack.Ticket) bool { return o.ID == t.ID }) {
		return list, fmt.Errorf("ticket %s: %w", t.ID, vstack.ErrAlreadyExists)
	}
	if len(rest) >= vstack.MaxTickets {
		return list, fmt.Errorf("ticket: %w: there are %d; remove some", vstack.ErrTooLarge, len(rest))
	}
	return append(rest, t), nil
}

// use takes uses of a ticket, and drops one that has none left.
func use(list []vstack.Ticket, u command.TicketUse, now time.Time) ([]vstack.Ticket, error) {
	at := slices.IndexFunc(list, func(t vstack.Ticket) bool { return t.ID == u.Ticket })
	if at < 0 || !list[at].Expires.After(now) {
		return list, fmt.Errorf("ticket: %w: it is unknown, expired or used up", vstack.ErrUnauthenticated)
	}
	t := list[at]
	switch {
	case u.Uses < 0 || u.Uses > t.Uses:
		return list, fmt.Errorf("ticket for %d files: %w: it is good for %d", u.Uses, vstack.ErrUnauthenticated, t.Uses)
	case t.Bytes > 0 && (u.Size < 0 || u.Size > t.Bytes):
		return list, fmt.Errorf("file of %d bytes: %w: the ticket is for at most %d, and they must be said", u.Size, vstack.ErrTooLarge, t.Bytes)
	}
	rest := slices.Clone(list)
	if t.Uses -= u.Uses; t.Uses == 0 {
		return orNil(slices.Delete(rest, at, at+1)), nil
	}
	rest[at] = t
	return rest, nil
}

// orNil has a list that is empty be what it was before there was any.
func orNil(list []vstack.Ticket) []vstack.Ticket {
	if len(list) == 0 {
		return nil
	}
	return list
}
