package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// Add makes another host of the lab, with the ports and stores of the first. A member is
// configured to wait until it is added to the metadata cluster; another host runs stores
// and the uploader only. It starts nothing; Host.Start does where the lab was started.
func (l *Lab) Add(spec HostSpec, member bool) (*Host, error) {
	c, err := l.another(spec, member)
	if err != nil {
		return nil, fmt.Errorf("add host %s to lab %s: %w", spec.ID, l.Dir, err)
	}
	ca, err := identity.LoadCA(filepath.Join(l.Dir, caDir))
	if err != nil {
		return nil, fmt.Errorf("add host %s to lab %s: %w", spec.ID, l.Dir, err)
	}
	tmp, err := os.MkdirTemp(l.Dir, ".init-")
	if err != nil {
		return nil, fmt.Errorf("add host %s to lab: %w", spec.ID, err)
	}
	defer os.RemoveAll(tmp)
	if err := buildHost(tmp, filepath.Join(l.Dir, caDir), ca, c, spec.Addr, l.certLife()); err != nil {
		return nil, fmt.Errorf("add host %s to lab %s: %w", spec.ID, l.Dir, err)
	}
	dir := filepath.Join(l.Dir, hostsDir, string(spec.ID))
	if err := os.Rename(tmp, dir); err != nil {
		return nil, fmt.Errorf("add host %s to lab: %w", spec.ID, err)
	}
	loaded, err := config.LoadServer(filepath.Join(dir, config.File), nil, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("add host %s to lab: %w", spec.ID, err)
	}
	h := &Host{ID: spec.ID, Dir: dir, Config: loaded, Outside: member}
	h.exe, h.env = l.Hosts[0].program()
	l.Hosts = append(l.Hosts, h)
	if err := l.tellClient(h.Config); err != nil {
		return nil, fmt.Errorf("add host %s to lab: %w", spec.ID, err)
	}
	return h, nil
}

// another is the configuration of a host like the first, which a member has from a member.
func (l *Lab) another(spec HostSpec, member bool) (config.Server, error) {
	for _, h := range l.Hosts {
		if h.ID == spec.ID || h.Addr() == spec.Addr {
			return config.Server{}, fmt.Errorf("host %s at %s: %w", h.ID, h.Addr(), vstack.ErrAlreadyExists)
		}
	}
	like := l.Hosts[0]
	if i := slices.IndexFunc(l.Hosts, func(h *Host) bool { return h.Config.Has(config.RoleMeta) }); i >= 0 {
		like = l.Hosts[i]
	}
	first, err := config.LoadServer(filepath.Join(like.Dir, config.File), nil, nil, nil)
	if err != nil {
		return config.Server{}, err
	}
	c := *first
	c.Host, c.Roles = string(spec.ID), []string{config.RoleData, config.RoleIngest}
	def := config.DefaultServer()
	c.TLS, c.Meta.Dir, c.Ingest.Dir, c.Data.Catalog, c.Meta.Join = def.TLS, def.Meta.Dir, def.Ingest.Dir, def.Data.Catalog, false
	at := func(addr string) string { // the configuration was validated
		_, port, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(spec.Addr, port)
	}
	c.Ingest.Addr = at(first.Ingest.Addr)
	if first.Has(config.RoleGateway) { // labs of earlier versions have none
		c.Roles = append(c.Roles, config.RoleGateway)
		c.Gateway = config.Gateway{Addr: at(first.Gateway.Addr)}
		if first.Gateway.Consensus != "" {
			c.Gateway.Consensus = at(first.Gateway.Consensus)
		}
	}
	c.Data.Stores = slices.Clone(first.Data.Stores)
	for i := range c.Data.Stores {
		s := &c.Data.Stores[i]
		s.Dir, s.Addr = fmt.Sprintf("stores/%d", i+1), at(s.Addr)
	}
	if member {
		p := first.Meta.Peers[0]
		c.Roles, c.Meta.Join = slices.Clone(first.Roles), true
		c.Meta.Peers = append(slices.Clone(first.Meta.Peers), config.Peer{ID: string(spec.ID), Raft: at(p.Raft), API: at(p.API)})
	}
	return c, nil
}

// Forget empties the directory of the metastore, which from then on is a new member: one
// that was removed comes back as such only. The host must not run.
func (h *Host) Forget() error {
	if pid := h.Pid(); pid != 0 {
		return fmt.Errorf("empty the metastore's directory of host %s: %w: it runs as process %d", h.ID, vstack.ErrUnavailable, pid)
	}
	entries, err := os.ReadDir(h.Config.Meta.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("empty the metastore's directory of host %s: %w", h.ID, err)
	}
	for _, e := range entries { // the directory itself may be a disk of its own
		if err := os.RemoveAll(filepath.Join(h.Config.Meta.Dir, e.Name())); err != nil {
			return fmt.Errorf("empty the metastore's directory of host %s: %w", h.ID, err)
		}
	}
	return nil
}
