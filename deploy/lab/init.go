package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// The directories of a lab.
const (
	caDir     = "ca"
	hostsDir  = "hosts"
	clientDir = "client"
	tlsDir    = "tls"
)

// Exists reports whether dir holds a lab.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, hostsDir))
	return err == nil
}

// Init makes a lab: an authority, a certificate and a configuration per host, and a
// client bundle. A directory that already holds one is left alone (ErrAlreadyExists).
// It starts nothing.
func Init(spec Spec) (*Lab, error) {
	spec, err := spec.withDefaults()
	if err != nil {
		return nil, err
	}
	if Exists(spec.Dir) {
		return nil, fmt.Errorf("make lab: %s: %w", filepath.Join(spec.Dir, hostsDir), vstack.ErrAlreadyExists)
	}
	if err := os.MkdirAll(spec.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	// Build aside and move into place, hosts last: an interrupted Init leaves no lab
	// that looks whole, and a later one starts over.
	tmp, err := os.MkdirTemp(spec.Dir, ".init-")
	if err != nil {
		return nil, fmt.Errorf("make lab: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := build(tmp, spec); err != nil {
		return nil, fmt.Errorf("make lab %s: %w", spec.Dir, err)
	}
	for _, name := range []string{caDir, clientDir, hostsDir} {
		dst := filepath.Join(spec.Dir, name)
		if err := os.RemoveAll(dst); err != nil {
			return nil, fmt.Errorf("make lab: %w", err)
		}
		if err := os.Rename(filepath.Join(tmp, name), dst); err != nil {
			return nil, fmt.Errorf("make lab: %w", err)
		}
	}
	return Load(spec.Dir)
}

func build(dir string, spec Spec) error {
	ca, err := identity.CreateCA(filepath.Join(dir, caDir))
	if err != nil {
		return err
	}
	authority := filepath.Join(dir, caDir)
	if err := ca.CreateIssuing(authority); err != nil {
		return err
	}
	for i, h := range spec.Hosts {
		if err := buildHost(filepath.Join(dir, hostsDir, string(h.ID)), authority, ca, spec.server(i), h.Addr, spec.CertLife); err != nil {
			return err
		}
	}
	client := filepath.Join(dir, clientDir)
	if err := ca.Issue(client, identity.Spec{ID: "admin", Role: identity.RoleAdmin}); err != nil {
		return err
	}
	return config.Write(filepath.Join(client, config.File), "V-Stack client bundle: vstack --cluster DIR …", spec.client())
}

func storeDirs(c config.Server) []string {
	var out []string
	for _, s := range c.Data.Stores {
		out = append(out, s.Dir)
	}
	return out
}

// buildHost fills one host's directory.
func buildHost(dir, authority string, ca *identity.CA, c config.Server, addr string, life time.Duration) error {
	roles, err := c.CertRoles()
	if err != nil {
		return err
	}
	spec := identity.Spec{ID: c.Host, Role: identity.RoleHost, Roles: roles, Addrs: []string{addr}}
	if err := issue(filepath.Join(dir, tlsDir), authority, ca, spec, c.Has(config.RoleMeta), life); err != nil {
		return err
	}
	for _, d := range append(storeDirs(c), c.Meta.Dir, c.Ingest.Dir) {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	comment := fmt.Sprintf("V-Stack host %s. Start it with: vstack server --config %s", c.Host, config.File)
	return config.Write(filepath.Join(dir, config.File), comment, c)
}

// issue makes a host's certificate. Where the cluster has an issuing key, members get it, and
// the certificate's life is short, since it is renewed by itself.
func issue(dir, authority string, ca *identity.CA, spec identity.Spec, member bool, life time.Duration) error {
	issuing := identity.HasIssuing(authority)
	if issuing {
		spec.ValidFor = life
	}
	if err := ca.Issue(dir, spec); err != nil || !issuing || !member {
		return err
	}
	return identity.PlaceIssuing(authority, dir)
}

// Load reads a lab that Init made.
func Load(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("load lab: %w", err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, hostsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("load lab: %s holds none: %w", dir, vstack.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("load lab: %w", err)
	}
	l := &Lab{Dir: dir, Client: filepath.Join(dir, clientDir)}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		host := filepath.Join(dir, hostsDir, e.Name())
		c, err := config.LoadServer(filepath.Join(host, config.File), nil, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("load lab: %w", err)
		}
		l.Hosts = append(l.Hosts, &Host{ID: vstack.HostID(c.Host), Dir: host, Config: c})
	}
	if len(l.Hosts) == 0 {
		return nil, fmt.Errorf("load lab: %s has no hosts: %w", dir, vstack.ErrNotFound)
	}
	return l, nil
}
