package lab

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
)

// Renew issues every host's certificate and the client's anew, by the authority that
// Init made, for the addresses and the roles of their configurations. A running host on this machine
// takes its new one within seconds; others get it by their bundle.
func (l *Lab) Renew() error {
	ca, err := identity.LoadCA(filepath.Join(l.Dir, caDir))
	if err != nil {
		return fmt.Errorf("renew certificates of lab %s: %w", l.Dir, err)
	}
	for _, h := range l.Hosts {
		if err := l.issue(h); err != nil {
			return fmt.Errorf("renew certificate of host %s: %w", h.ID, err)
		}
	}
	if err := ca.Issue(l.Client, identity.Spec{ID: "admin", Role: identity.RoleAdmin}); err != nil {
		return fmt.Errorf("renew certificate of the client: %w", err)
	}
	return nil
}

// dialled are the addresses at which others reach a host, without ports.
func dialled(c *config.Server) []string {
	addrs := []string{c.Ingest.Addr}
	if c.Has(config.RoleGateway) {
		addrs = append(addrs, c.Gateway.Addr)
	}
	if self, ok := c.Self(); ok {
		addrs = append(addrs, self.API, self.Raft)
	}
	for _, s := range c.Data.Stores {
		addrs = append(addrs, s.Addr)
	}
	var out []string
	for _, a := range addrs {
		if host, _, err := net.SplitHostPort(a); err == nil && !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out
}
