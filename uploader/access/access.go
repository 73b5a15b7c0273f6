package access

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Tickets takes uses of tickets; *metaclient.Client does.
type Tickets interface {
	UseTicket(ctx context.Context, id vstack.TicketID, req wire.UseTicketRequest) error
}

// Gate lets uploads in.
type Gate struct {
	open    bool
	tickets Tickets
}

// New makes a gate; an open one lets anybody upload who reaches the port.
func New(open bool, tickets Tickets) *Gate { return &Gate{open, tickets} }

// Presented is the ticket whose token the request carries; zero if none.
func Presented(r *http.Request) vstack.TicketID {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(kind, "Bearer") || token == "" {
		return vstack.TicketID{}
	}
	return vstack.TicketOf(token)
}

// forwards are headers by which a proxy says that it asks for others.
var forwards = []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"}

// Create reports whether the request may bring a file of size bytes (-1: nobody knows), and
// takes a use of its ticket where it needs one: ErrUnauthenticated if not.
func (g *Gate) Create(r *http.Request, size int64) error { return g.enter(r, 1, size) }

// Beside reports whether it may bring what goes with a file, and takes nothing.
func (g *Gate) Beside(r *http.Request) error { return g.enter(r, 0, 0) }

func (g *Gate) enter(r *http.Request, uses int, size int64) error {
	if g.open || operates(r) || here(r) {
		return nil
	}
	id := Presented(r)
	if id.IsZero() {
		return fmt.Errorf("upload: %w: this uploader takes files of administrators, and with a ticket (vstack tickets new)", vstack.ErrUnauthenticated)
	}
	if err := g.tickets.UseTicket(r.Context(), id, wire.UseTicketRequest{Uses: uses, Size: size}); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return nil
}

// Cancel reports whether the request may end an upload or a job that came with a ticket, or
// with none. Who uploads without one cannot be told from others, so that it takes an
// operator then: an administrator's certificate, or this machine.
func (g *Gate) Cancel(r *http.Request, of vstack.TicketID) error {
	if operates(r) || here(r) || !of.IsZero() && Presented(r) == of {
		return nil
	}
	return fmt.Errorf("cancel: %w: it takes an administrator's certificate, or the ticket that the file came with", vstack.ErrUnauthenticated)
}

// operates reports whether an administrator asks.
func operates(r *http.Request) bool {
	p, ok := identity.PeerOf(r.TLS)
	return ok && p.Roles.Has(vstack.RoleAdmin)
}

// here reports whether both ends of the connection are this machine's, and the request is
// not passed on for somebody else.
func here(r *http.Request) bool {
	for _, h := range forwards {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && loopback(local.String()) && loopback(r.RemoteAddr)
}

func loopback(hostPort string) bool {
	a, err := netip.ParseAddrPort(hostPort)
	return err == nil && a.Addr().Unmap().IsLoopback()
}
