package metastore

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/tickets"
)

func ticketRoutes() []route {
	return []route{
		{wire.Route{Method: http.MethodGet, Path: "/v1/tickets", Summary: "List tickets to upload with, oldest first", Roles: vstack.RoleAdmin,
			Response: wire.List[vstack.Ticket]{}, Errors: readErrors(vstack.ErrUnauthenticated, vstack.ErrForbidden)}, leader, 0, (*Server).listTickets, false},
		{wire.Route{Method: http.MethodPost, Path: "/v1/tickets", Summary: "Make a ticket to upload with; its token is said once", Roles: vstack.RoleAdmin,
			Request: wire.TicketRequest{}, Response: wire.TicketReply{}, Errors: writeErrors()}, leader, smallBody, (*Server).createTicket, false},
		write(http.MethodDelete, "/v1/tickets/{id}", "Take a ticket back", 0, nil, nil, writeErrors(), (*Server).dropTicket),
		writeAs(writers, http.MethodPost, "/v1/tickets/{id}/use", "Take uses of a ticket, for an upload", smallBody, wire.UseTicketRequest{}, nil, writeErrors(), (*Server).useTicket),
	}
}

func (s *Server) listTickets(c echo.Context) error {
	return answer(c, wire.List[vstack.Ticket]{Items: tickets.Good(s.catalog.View().Tickets(), time.Now())})
}

// createTicket draws the token here: the log and the catalog have its hash alone.
func (s *Server) createTicket(c echo.Context) error {
	var req wire.TicketRequest
	if err := decode(c, &req, false); err != nil {
		return err
	}
	t, token, err := tickets.Make(req, time.Now().UTC())
	if err != nil {
		return err
	}
	c.Request().Header.Del(wire.HeaderRequestID) // a repeat makes another
	return s.changeTickets(c, command.ChangeTicketsPayload{Create: &t}, wire.TicketReply{Ticket: t, Token: token})
}

func (s *Server) dropTicket(c echo.Context) error {
	id, err := vstack.ParseTicketID(c.Param("id"))
	if err != nil {
		return err
	}
	return s.changeTickets(c, command.ChangeTicketsPayload{Drop: id}, nil)
}

func (s *Server) useTicket(c echo.Context) error {
	var req wire.UseTicketRequest
	id, err := vstack.ParseTicketID(c.Param("id"))
	if err == nil {
		err = decode(c, &req, false)
	}
	if err != nil {
		return err
	}
	return s.changeTickets(c, command.ChangeTicketsPayload{Use: &command.TicketUse{Ticket: id, Uses: req.Uses, Size: req.Size}}, nil)
}

// changeTickets commits, where all members can read the entry, and answers.
func (s *Server) changeTickets(c echo.Context, p command.ChangeTicketsPayload, reply any) error {
	if level := s.catalog.View().Level(); level < vstack.LevelPolicy {
		return fmt.Errorf("tickets: %w: there are none below feature level %d, the cluster is at %d", vstack.ErrInvalid, vstack.LevelPolicy, level)
	}
	if _, err := s.commit(c, command.ChangeTickets, p); err != nil {
		return err
	}
	if reply == nil {
		return c.NoContent(http.StatusNoContent)
	}
	return answer(c, reply)
}
