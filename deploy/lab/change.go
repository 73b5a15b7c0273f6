package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// SetAddress gives a host another address: in its own configuration and certificate, in what
// the other hosts ask first, and in the client bundle. Ports stay. A member of the metadata
// cluster is configured to come back as a new one, since Raft knows it by its address. What
// the cluster itself has to be told is for who calls.
func (l *Lab) SetAddress(id vstack.HostID, addr string) (*Host, error) {
	h, err := l.moving(id, addr)
	if err != nil {
		return nil, fmt.Errorf("move host %s: %w", id, err)
	}
	old := h.Addr()
	for _, other := range l.Hosts {
		if err := other.hear(h, old, addr); err != nil {
			return nil, fmt.Errorf("move host %s: %w", id, err)
		}
	}
	if err := l.renewClient(old, addr, ownAddrs(h.Config)); err != nil {
		return nil, fmt.Errorf("move host %s: %w", id, err)
	}
	if err := l.reload(); err != nil {
		return nil, fmt.Errorf("move host %s: %w", id, err)
	}
	if err := l.issue(h); err != nil {
		return nil, fmt.Errorf("move host %s: %w", id, err)
	}
	return h, nil
}

// moving is the host that may have the address.
func (l *Lab) moving(id vstack.HostID, addr string) (*Host, error) {
	h := l.Host(id)
	if h == nil {
		return nil, fmt.Errorf("%w: the lab has no such host", vstack.ErrNotFound)
	}
	for _, other := range l.Hosts {
		if other.Addr() == addr {
			return nil, fmt.Errorf("%w: host %s is at %s", vstack.ErrAlreadyExists, other.ID, addr)
		}
	}
	if h.Config.Has(config.RoleMeta) && !slices.ContainsFunc(l.Hosts, func(o *Host) bool { return o != h && o.Config.Has(config.RoleMeta) }) {
		return nil, fmt.Errorf("%w: it is the only member of the metadata cluster, and would have nobody to get the catalog from; add another first: vstack lab add, vstack raft add", vstack.ErrInvalid)
	}
	return h, nil
}

// hear changes what the host's file says of the one that moves.
func (h *Host) hear(mover *Host, old, addr string) error {
	file := filepath.Join(h.Dir, config.File)
	doc, err := config.ReadDoc(file)
	if err != nil {
		return err
	}
	for _, a := range ownAddrs(mover.Config) {
		host, port, err := net.SplitHostPort(a)
		if err != nil || host != old {
			continue
		}
		doc.Replace(a, net.JoinHostPort(addr, port), "meta", "peers")
		if h == mover {
			for _, key := range []string{"data", "ingest", "gateway"} {
				doc.Replace(a, net.JoinHostPort(addr, port), key)
			}
		}
	}
	if h == mover && h.Config.Has(config.RoleMeta) {
		if err := doc.Set(true, "meta", "join"); err != nil {
			return err
		}
	}
	return doc.Save(file)
}

// Promote has a host that stores become one that also waits to be a member of the metadata
// cluster: its configuration, its certificate, and the client bundle.
func (l *Lab) Promote(id vstack.HostID) (*Host, error) {
	h := l.Host(id)
	switch {
	case h == nil:
		return nil, fmt.Errorf("promote host %s: %w: the lab has no such host", id, vstack.ErrNotFound)
	case h.Config.Has(config.RoleMeta):
		return nil, fmt.Errorf("promote host %s: %w: it has the role meta; vstack raft status says whether it is a member", id, vstack.ErrAlreadyExists)
	}
	i := slices.IndexFunc(l.Hosts, func(o *Host) bool { return o.Config.Has(config.RoleMeta) })
	if i < 0 {
		return nil, fmt.Errorf("promote host %s: %w: the lab has no member to be like", id, vstack.ErrNotFound)
	}
	peers := slices.Clone(l.Hosts[i].Config.Meta.Peers)
	at := func(a string) string {
		_, port, _ := net.SplitHostPort(a) // the configuration was validated
		return net.JoinHostPort(h.Addr(), port)
	}
	peers = append(peers, config.Peer{ID: string(id), Raft: at(peers[0].Raft), API: at(peers[0].API)})
	file := filepath.Join(h.Dir, config.File)
	doc, err := config.ReadDoc(file)
	if err == nil {
		err = errors.Join(doc.Set(append([]string{config.RoleMeta}, h.Config.Roles...), "roles"),
			doc.Set(true, "meta", "join"), doc.Set(peers, "meta", "peers"), doc.Save(file))
	}
	if err == nil {
		err = l.reload()
	}
	if err == nil {
		err = errors.Join(l.issue(h), l.tellClient(h.Config))
	}
	if err != nil {
		return nil, fmt.Errorf("promote host %s: %w", id, err)
	}
	return h, nil
}

// reload reads every host's configuration again.
func (l *Lab) reload() error {
	for _, h := range l.Hosts {
		c, err := config.LoadServer(filepath.Join(h.Dir, config.File), nil, nil, nil)
		if err != nil {
			return err
		}
		h.Config = c
	}
	return nil
}

// issue makes the certificate that a host's configuration asks for.
func (l *Lab) issue(h *Host) error {
	authority := filepath.Join(l.Dir, caDir)
	ca, err := identity.LoadCA(authority)
	if err != nil {
		return err
	}
	roles, err := h.Config.CertRoles()
	if err != nil {
		return err
	}
	spec := identity.Spec{ID: string(h.ID), Role: identity.RoleHost, Roles: roles, Addrs: dialled(h.Config)}
	return issue(filepath.Join(h.Dir, tlsDir), authority, ca, spec, h.Config.Has(config.RoleMeta), l.certLife())
}

// tellClient has the client bundle name the addresses of a host.
func (l *Lab) tellClient(c *config.Server) error {
	api := ""
	if self, ok := c.Self(); ok && c.Has(config.RoleMeta) {
		api = self.API
	}
	return l.editClient(func(have *config.Client, doc *config.Doc) error {
		gateway := ""
		if c.Has(config.RoleGateway) {
			gateway = c.Gateway.Addr
		}
		for _, list := range []struct {
			key  string
			have []string
			addr string
		}{{"metastores", have.Metastores, api}, {"uploaders", have.Uploaders, c.Ingest.Addr}, {"gateways", have.Gateways, gateway}} {
			if list.addr == "" || slices.Contains(list.have, list.addr) {
				continue
			}
			if err := doc.Set(append(slices.Clone(list.have), list.addr), list.key); err != nil {
				return err
			}
		}
		return nil
	})
}

// renewClient has the client bundle follow addresses from one host to another.
func (l *Lab) renewClient(old, new string, addrs []string) error {
	return l.editClient(func(_ *config.Client, doc *config.Doc) error {
		for _, a := range addrs {
			if host, port, err := net.SplitHostPort(a); err == nil && host == old {
				for _, key := range []string{"metastores", "uploaders", "gateways"} {
					doc.Replace(a, net.JoinHostPort(new, port), key)
				}
			}
		}
		return nil
	})
}

// editClient changes the file of the client bundle; a lab without one has nobody to tell.
func (l *Lab) editClient(edit func(*config.Client, *config.Doc) error) error {
	have, err := config.LoadClient(l.Client, nil, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file := filepath.Join(l.Client, config.File)
	doc, err := config.ReadDoc(file)
	if err != nil {
		return err
	}
	if err := edit(have, doc); err != nil {
		return err
	}
	return doc.Save(file)
}
