package rights

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/asked"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/revoked"
	"github.com/vstack/vstack/metastore/tickets"
	"github.com/vstack/vstack/metastore/watching"
)

func listRevocations(d Desk, c echo.Context) error {
	v := d.View()
	return d.Answer(c, wire.Revocations{Items: append([]vstack.Revocation{}, v.Revoked()...), Index: v.Applied()})
}

func revoke(d Desk, c echo.Context) error {
	var req wire.RevokeRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	r, err := revoked.Of(req, time.Now().UTC())
	if err != nil {
		return err
	}
	return change(d, c, vstack.LevelPolicy, command.ChangeRevocations, command.ChangeRevocationsPayload{Add: &r}, r)
}

func restoreCertificates(d Desk, c echo.Context) error {
	return change(d, c, vstack.LevelPolicy, command.ChangeRevocations, command.ChangeRevocationsPayload{Drop: c.Param("key")}, nil)
}

func getKeys(d Desk, c echo.Context) error {
	return d.Answer(c, watching.JWKS(d.View().TokenKeys()))
}

func addKey(d Desk, c echo.Context) error {
	var req wire.TokenKeyRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	return change(d, c, vstack.LevelAccess, command.ChangeTokenKeys, watching.Add(req, time.Now()), nil)
}

func dropKey(d Desk, c echo.Context) error {
	return change(d, c, vstack.LevelAccess, command.ChangeTokenKeys, command.ChangeTokenKeysPayload{Drop: c.Param("id")}, nil)
}

func revokeKey(d Desk, c echo.Context) error {
	var req wire.RevokeTokensRequest
	if err := asked.Body(c.Request(), &req, true); err != nil {
		return err
	}
	return change(d, c, vstack.LevelAccess, command.ChangeTokenKeys, watching.Revoke(c.Param("id"), req, time.Now()), nil)
}

func listTickets(d Desk, c echo.Context) error {
	return d.Answer(c, wire.List[vstack.Ticket]{Items: tickets.Good(d.View().Tickets(), time.Now())})
}

// createTicket draws the token here: the log and the catalog have its hash alone.
func createTicket(d Desk, c echo.Context) error {
	var req wire.TicketRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	t, token, err := tickets.Make(req, time.Now().UTC())
	if err != nil {
		return err
	}
	c.Request().Header.Del(wire.HeaderRequestID) // a repeat makes another
	return change(d, c, vstack.LevelPolicy, command.ChangeTickets, command.ChangeTicketsPayload{Create: &t}, wire.TicketReply{Ticket: t, Token: token})
}

func dropTicket(d Desk, c echo.Context) error {
	id, err := vstack.ParseTicketID(c.Param("id"))
	if err != nil {
		return err
	}
	return change(d, c, vstack.LevelPolicy, command.ChangeTickets, command.ChangeTicketsPayload{Drop: id}, nil)
}

func useTicket(d Desk, c echo.Context) error {
	var req wire.UseTicketRequest
	id, err := vstack.ParseTicketID(c.Param("id"))
	if err := cmp.Or(err, asked.Body(c.Request(), &req, false)); err != nil {
		return err
	}
	return change(d, c, vstack.LevelPolicy, command.ChangeTickets, command.ChangeTicketsPayload{Use: &command.TicketUse{Ticket: id, Uses: req.Uses, Size: req.Size}}, nil)
}

// change commits where all members can read the entry, and answers.
func change(d Desk, c echo.Context, need vstack.Level, t command.Type, payload, reply any) error {
	if level := d.View().Level(); level < need {
		return fmt.Errorf("%s: %w: it needs feature level %d, the cluster is at %d", c.Path(), vstack.ErrInvalid, need, level)
	}
	if err := d.Commit(c, t, payload); err != nil {
		return err
	}
	if reply == nil {
		return c.NoContent(http.StatusNoContent)
	}
	return d.Answer(c, reply)
}
