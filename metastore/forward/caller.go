package forward

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// RoleKey is the role of who shows an API key: its Peer is the key's name.
const RoleKey identity.Role = "apikey"

// Caller is who asks, by itself or by way of a member.
type Caller struct {
	identity.Peer
	// Known says that there is a certificate behind the request; Peer is zero without.
	Known bool
	// Key is who it is to budgets, its address without a certificate; empty where a member of
	// an earlier program passed the request on for somebody without.
	Key admission.Key
	// names has the addresses that the certificate is for; nil where a member of an
	// earlier program passed the request on, which does not say.
	names *x509.Certificate
}

// CallerOf tells who asks. What a request says of another caller is believed of current
// members only, which could write the entry themselves when they lead; from anybody else
// it is ErrForbidden. Who passes on a request of its own, as one that was removed and does
// not know yet does, needs no belief.
func CallerOf(r *http.Request, member func(id string) bool) (Caller, error) {
	p, known := identity.PeerOf(r.TLS)
	own := Caller{Peer: p, Known: known, Key: admission.KeyOf(r)}
	if known {
		own.names = r.TLS.VerifiedChains[0][0]
	}
	by, of := r.Header.Get(wire.HeaderForwarded), r.Header.Get(wire.HeaderCaller)
	switch {
	case by == "" && of == "", known && of == callerName(p) && (by == "" || by == p.ID):
		return own, nil
	case !known || by != p.ID || !p.Roles.Has(vstack.RoleMeta) || !member(p.ID):
		return Caller{}, fmt.Errorf("%s %.63q for %.80q: %w: only a member speaks for others, this is %q", wire.HeaderForwarded, by, of, vstack.ErrForbidden, p.ID)
	case of == "":
		return Caller{Key: admission.Key(r.Header.Get(wire.HeaderCallerKey))}, nil // of somebody without a certificate
	}
	return passedOn(r, of)
}

// Disbelieve marks the answer to somebody who spoke for another, so that a member that was
// removed and does not know yet does not give the refusal of itself to who asked it.
func Disbelieve(h http.Header) { h.Set(wire.HeaderForwarded, "refused") }

func disbelieved(resp *http.Response) bool {
	return resp.StatusCode == http.StatusForbidden && resp.Header.Get(wire.HeaderForwarded) != ""
}

// passedOn reads what a member says of a caller.
func passedOn(r *http.Request, of string) (c Caller, err error) {
	if name, ok := strings.CutPrefix(of, string(RoleKey)+":"); ok { // with which rights its catalog says
		return Key(name, 0), nil
	}
	role, id, _ := strings.Cut(of, " ")
	c = Caller{Peer: identity.Peer{ID: id, Role: identity.Role(role)}, Known: true, Key: admission.Key(of)}
	switch {
	case id == "" || c.Role != identity.RoleHost && c.Role != identity.RoleAdmin:
		return Caller{}, fmt.Errorf("%s %.80q: %w: want a role and an id", wire.HeaderCaller, of, vstack.ErrInvalid)
	case c.Role == identity.RoleAdmin:
		c.Roles = vstack.RoleAdmin
		return c, nil
	}
	h := r.Header
	if _, said := h[wire.HeaderCallerRoles]; !said { // by a member of an earlier program
		c.Roles = vstack.RolesUnsaid
		return c, nil
	}
	if c.Roles, err = vstack.ParseRoles(h.Get(wire.HeaderCallerRoles)); err != nil {
		return Caller{}, fmt.Errorf("%s: %w", wire.HeaderCallerRoles, err)
	}
	c.Roles &= vstack.RolesHost
	c.names = &x509.Certificate{}
	for _, name := range strings.Split(h.Get(wire.HeaderCallerNames), ",") {
		if ip := net.ParseIP(name); ip != nil {
			c.names.IPAddresses = append(c.names.IPAddresses, ip)
		} else if name != "" {
			c.names.DNSNames = append(c.names.DNSNames, name)
		}
	}
	return c, nil
}

// Key is the caller that an API key of the name is.
func Key(name string, roles vstack.Roles) Caller {
	p := identity.Peer{ID: name, Role: RoleKey, Roles: roles}
	return Caller{Peer: p, Known: true, Key: admission.Key(callerName(p))}
}

// say puts the caller into the headers of a request that is passed on.
func (c Caller) say(h http.Header) {
	if !c.Known {
		h.Set(wire.HeaderCallerKey, string(c.Key))
		return
	}
	h.Set(wire.HeaderCaller, callerName(c.Peer))
	if c.Role != identity.RoleHost || c.names == nil {
		return
	}
	h.Set(wire.HeaderCallerRoles, c.Roles.String())
	names := append([]string(nil), c.names.DNSNames...)
	for _, ip := range c.names.IPAddresses {
		names = append(names, ip.String())
	}
	h.Set(wire.HeaderCallerNames, strings.Join(names, ","))
}

// Name is the role and the id of the caller's certificate; empty for who has none.
func (c Caller) Name() string {
	if !c.Known {
		return ""
	}
	return callerName(c.Peer)
}

// callerName is the form of a certificate's owner in wire.HeaderCaller.
func callerName(p identity.Peer) string {
	if p.Role == RoleKey {
		return string(RoleKey) + ":" + p.ID
	}
	return string(p.Role) + " " + p.ID
}

// Require judges the caller as a route's row has it.
func (c Caller) Require(roles vstack.Roles) error {
	if c.Role == RoleKey && !c.Roles.Has(roles) {
		return fmt.Errorf("%w: API key %q is for %q, this wants any of %q", vstack.ErrForbidden, c.ID, c.Roles, roles)
	}
	return identity.Require(c.Peer, c.Known, roles)
}

// Speaks reports whether the caller may speak for a host.
func (c Caller) Speaks(host vstack.HostID) bool {
	return c.Known && c.Role == identity.RoleHost && c.ID == string(host)
}

// At reports whether the caller's certificate is for the address, HOST:PORT: nobody reaches
// a store under another.
func (c Caller) At(addr string) error {
	if c.names == nil {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %.80q: %w: %v", addr, vstack.ErrInvalid, err)
	}
	if err := c.names.VerifyHostname(host); err != nil {
		return fmt.Errorf("address %.80q: %w: the certificate of %q is not for it", addr, vstack.ErrForbidden, c.ID)
	}
	return nil
}

// ActsFor lets the caller act for an upload's owner: an administrator, and the host that it
// is. The owner of an upload of an earlier program is nobody, and so any ingest host.
func (c Caller) ActsFor(owner vstack.ProposerID) error {
	if c.Roles.Has(vstack.RoleAdmin) || !owner.Owned() || c.Role == identity.RoleHost && owner.Of(vstack.HostID(c.ID)) {
		return nil
	}
	return fmt.Errorf("%w: %q is not the host whose %s is", vstack.ErrForbidden, c.ID, owner)
}

// Reports lets a host speak for itself only, and for stores at its own addresses.
func (c Caller) Reports(hb wire.Heartbeat) error {
	if !c.Speaks(hb.Host) {
		return fmt.Errorf("heartbeat of host %.63q: %w: the certificate is of %q", hb.Host, vstack.ErrForbidden, c.ID)
	}
	for _, r := range hb.Stores {
		if err := c.At(r.Addr); err != nil {
			return fmt.Errorf("heartbeat of host %s: store %s: %w", hb.Host, r.ID, err)
		}
	}
	return nil
}
