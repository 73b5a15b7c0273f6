package metaclient

import (
	"context"
	"net/http"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// CreateTicket makes a ticket to upload with. It is asked once: a repeat would make another.
func (c *Client) CreateTicket(ctx context.Context, req wire.TicketRequest) (wire.TicketReply, error) {
	var out wire.TicketReply
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/tickets", body: req, out: &out, write: true})
	return out, err
}

// Tickets lists those that are good.
func (c *Client) Tickets(ctx context.Context) ([]vstack.Ticket, error) {
	var out wire.List[vstack.Ticket]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/tickets", out: &out})
	return out.Items, err
}

// DropTicket takes a ticket back.
func (c *Client) DropTicket(ctx context.Context, id vstack.TicketID) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: "/v1/tickets/" + id.String(), write: true})
	return err
}

// UseTicket takes uses of a ticket for a file, or looks whether it is good: ErrUnauthenticated
// if not, ErrTooLarge if it is for smaller files.
func (c *Client) UseTicket(ctx context.Context, id vstack.TicketID, req wire.UseTicketRequest) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/tickets/" + id.String() + "/use", body: req, write: true})
	return err
}
