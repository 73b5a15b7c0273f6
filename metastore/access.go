package metastore

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
	"github.com/vstack/vstack/metastore/issuing"
	"github.com/vstack/vstack/metastore/revoked"
	"github.com/vstack/vstack/metastore/tickets"
)

func accessRoutes() []route {
	return []route{
		{wire.Route{Method: http.MethodGet, Path: "/v1/tickets", Summary: "List tickets to upload with, oldest first", Roles: vstack.RoleAdmin,
			Response: wire.List[vstack.Ticket]{}, Errors: readErrors(vstack.ErrUnauthenticated, vstack.ErrForbidden)}, leader, 0, (*Server).listTickets, false},
		{wire.Route{Method: http.MethodPost, Path: "/v1/tickets", Summary: "Make a ticket to upload with; its token is said once", Roles: vstack.RoleAdmin,
			Request: wire.TicketRequest{}, Response: wire.TicketReply{}, Errors: writeErrors()}, leader, smallBody, (*Server).createTicket, false},
		write(http.MethodDelete, "/v1/tickets/{id}", "Take a ticket back", 0, nil, nil, writeErrors(), (*Server).dropTicket),
		writeAs(writers, http.MethodPost, "/v1/tickets/{id}/use", "Take uses of a ticket, for an upload", smallBody, wire.UseTicketRequest{}, nil, writeErrors(), (*Server).useTicket),
		{wire.Route{Method: http.MethodGet, Path: "/v1/revocations", Summary: "List certificates that are good no more", Roles: vstack.RolesHost | vstack.RoleAdmin, Params: consistency(),
			Response: wire.Revocations{}, Errors: readErrors(vstack.ErrUnauthenticated, vstack.ErrForbidden)}, readable, 0, (*Server).listRevocations, false},
		write(http.MethodPost, "/v1/revocations", "Revoke certificates", smallBody, wire.RevokeRequest{}, vstack.Revocation{}, writeErrors(), (*Server).revoke),
		write(http.MethodDelete, "/v1/revocations/{key}", "Take a revocation back", 0, nil, nil, writeErrors(vstack.ErrNotFound), (*Server).restoreCertificates),
		{wire.Route{Method: http.MethodPost, Path: "/v1/certificates/renew", Summary: "Renew the certificate of the host that asks, at a member with the issuing key", Roles: vstack.RolesHost,
			Request: wire.RenewRequest{}, Response: wire.RenewReply{}, Errors: writeErrors(vstack.ErrNotFound)}, anywhere, smallBody, (*Server).renewCertificate, false},
	}
}

func (s *Server) renewCertificate(c echo.Context) error {
	out, err := issuing.Renew(c.Request(), s.cfg.Identity, time.Now())
	if err == nil {
		err = answer(c, out)
	}
	return err
}

func (s *Server) listRevocations(c echo.Context) error {
	v := s.catalog.View()
	return answer(c, wire.Revocations{Items: append([]vstack.Revocation{}, v.Revoked()...), Index: v.Applied()})
}

func (s *Server) revoke(c echo.Context) error {
	var req wire.RevokeRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	r, err := revoked.Of(req, time.Now().UTC())
	if err != nil {
		return err
	}
	return s.change(c, command.ChangeRevocations, command.ChangeRevocationsPayload{Add: &r}, r)
}

func (s *Server) restoreCertificates(c echo.Context) error {
	return s.change(c, command.ChangeRevocations, command.ChangeRevocationsPayload{Drop: c.Param("key")}, nil)
}

func (s *Server) listTickets(c echo.Context) error {
	return answer(c, wire.List[vstack.Ticket]{Items: tickets.Good(s.catalog.View().Tickets(), time.Now())})
}

// createTicket draws the token here: the log and the catalog have its hash alone.
func (s *Server) createTicket(c echo.Context) error {
	var req wire.TicketRequest
	if err := asked.Body(c.Request(), &req, false); err != nil {
		return err
	}
	t, token, err := tickets.Make(req, time.Now().UTC())
	if err != nil {
		return err
	}
	c.Request().Header.Del(wire.HeaderRequestID) // a repeat makes another
	return s.change(c, command.ChangeTickets, command.ChangeTicketsPayload{Create: &t}, wire.TicketReply{Ticket: t, Token: token})
}

func (s *Server) dropTicket(c echo.Context) error {
	id, err := vstack.ParseTicketID(c.Param("id"))
	if err != nil {
		return err
	}
	return s.change(c, command.ChangeTickets, command.ChangeTicketsPayload{Drop: id}, nil)
}

func (s *Server) useTicket(c echo.Context) error {
	var req wire.UseTicketRequest
	id, err := vstack.ParseTicketID(c.Param("id"))
	if err := cmp.Or(err, asked.Body(c.Request(), &req, false)); err != nil {
		return err
	}
	return s.change(c, command.ChangeTickets, command.ChangeTicketsPayload{Use: &command.TicketUse{Ticket: id, Uses: req.Uses, Size: req.Size}}, nil)
}

// change commits where all members can read the entry, and answers.
func (s *Server) change(c echo.Context, t command.Type, payload, reply any) error {
	if level := s.catalog.View().Level(); level < vstack.LevelPolicy {
		return fmt.Errorf("%s: %w: it needs feature level %d, the cluster is at %d", c.Path(), vstack.ErrInvalid, vstack.LevelPolicy, level)
	}
	if _, err := s.commit(c, t, payload); err != nil {
		return err
	}
	if reply == nil {
		return c.NoContent(http.StatusNoContent)
	}
	return answer(c, reply)
}
