package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// Tickets takes uses of tickets and of API keys; *metaclient.Client does.
type Tickets interface {
	UseTicket(ctx context.Context, id vstack.TicketID, req wire.UseTicketRequest) error
	// UseAPIKey tells whose an API key is, and counts what it uploads.
	UseAPIKey(ctx context.Context, req wire.UseAPIKeyRequest) (vstack.APIKey, error)
}

// Gate lets uploads in.
type Gate struct {
	open    bool
	tickets Tickets
	keys    keys
	guesses admission.Guesses
}

// New makes a gate; an open one lets anybody upload who reaches the port.
func New(open bool, tickets Tickets) *Gate {
	return &Gate{open: open, tickets: tickets}
}

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
	if k, shown, err := g.key(r, int64(uses), size); shown {
		return needs(k, err, vstack.RoleUpload|vstack.RoleAdmin)
	}
	if g.open || operates(r) || here(r) {
		return nil
	}
	id := Presented(r)
	if id.IsZero() {
		return fmt.Errorf("upload: %w: this uploader takes files of administrators, and with a ticket (vstack tickets new)", vstack.ErrUnauthenticated)
	}
	err := g.secret(r, func() error {
		return g.tickets.UseTicket(r.Context(), id, wire.UseTicketRequest{Uses: uses, Size: size})
	})
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return nil
}

// secret asks the catalog about one that somebody shows: but for who has guessed too often.
func (g *Gate) secret(r *http.Request, ask func() error) error {
	who, now := admission.KeyOf(r), time.Now()
	if g.guesses.Spent(who, now) {
		return fmt.Errorf("%w: too many tickets and API keys from here that are none", vstack.ErrRateLimited)
	}
	err := ask()
	if errors.Is(err, vstack.ErrUnauthenticated) {
		g.guesses.Wrong(who, now)
	}
	return err
}

// Cancel reports whether the request may end an upload or a job that came with a ticket, or
// with none. Who uploads without one cannot be told from others, so that it takes an
// operator then: an administrator's certificate, or this machine.
func (g *Gate) Cancel(r *http.Request, of vstack.TicketID) error {
	if k, shown, err := g.key(r, 0, 0); shown {
		if err == nil && k.Roles().Has(vstack.RoleUpload) && Presented(r) == of {
			return nil // what it brought
		}
		return needs(k, err, vstack.RoleManage|vstack.RoleAdmin)
	}
	if operates(r) || here(r) || !of.IsZero() && Presented(r) == of {
		return nil
	}
	return fmt.Errorf("cancel: %w: it takes an administrator's certificate, or the ticket that the file came with", vstack.ErrUnauthenticated)
}

// Sees reports whether who asks may know of jobs of films that not everybody knows of.
func (g *Gate) Sees(r *http.Request) (bool, error) {
	if k, shown, err := g.key(r, 0, 0); shown {
		return err == nil && k.Roles().Has(vstack.RoleRead|vstack.RoleAdmin), err
	}
	p, ok := identity.PeerOf(r.TLS)
	return ok && p.Roles.Has(vstack.RolesHost|vstack.RoleAdmin), nil
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
