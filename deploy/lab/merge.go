package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/vstack"
)

// merge brings what the authority's side decides into the configuration of a host.
type merge struct {
	j                   *Joined
	have, want          *config.Server
	rolesWere, rolesAre vstack.Roles // of the certificate before, and of the bundle's
}

// apply changes the file in memory, and says what.
func (m *merge) apply(file string) (*config.Doc, error) {
	doc, err := config.ReadDoc(file)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(*config.Doc) error{m.address, m.roles, m.members, m.listeners} {
		if err := step(doc); err != nil {
			return nil, err
		}
	}
	m.keep()
	return doc, nil
}

// address follows the host to where it is now. Ports stay as the host has them.
func (m *merge) address(doc *config.Doc) error {
	old, new := hostOf(m.have.Ingest.Addr), hostOf(m.want.Ingest.Addr)
	if old == "" || new == "" || old == new {
		return nil
	}
	for _, addr := range ownAddrs(m.have) {
		if host, port, err := net.SplitHostPort(addr); err == nil && host == old {
			for _, key := range []string{"meta", "data", "ingest", "gateway"} {
				doc.Replace(addr, net.JoinHostPort(new, port), key)
			}
		}
	}
	m.say("the address: %s, in place of %s", new, old)
	return nil
}

// roles adds and takes what the certificate gained and lost; what the host itself leaves out
// of what its certificate lets it do stays out.
func (m *merge) roles(doc *config.Doc) error {
	next := slices.Clone(m.have.Roles)
	for _, r := range config.Roles() {
		role, err := vstack.ParseRole(r)
		if err != nil {
			return err
		}
		was, is := m.rolesWere.Has(role), m.rolesAre.Has(role)
		switch {
		case is && !was && !slices.Contains(next, r) && slices.Contains(m.want.Roles, r):
			next = append(next, r)
		case was && !is:
			next = slices.DeleteFunc(next, func(have string) bool { return have == r })
		}
	}
	if slices.Equal(next, m.have.Roles) {
		return nil
	}
	m.say("the roles: %s, in place of %s", strings.Join(next, ", "), strings.Join(m.have.Roles, ", "))
	return doc.Set(next, "roles")
}

// members takes the list of whom to ask first, and that the host waits to be added.
func (m *merge) members(doc *config.Doc) error {
	if m.want.Meta.Join && !m.have.Meta.Join {
		m.say("meta.join: an empty directory waits to be added to the cluster")
		if err := doc.Set(true, "meta", "join"); err != nil {
			return err
		}
	}
	if slices.Equal(m.have.Meta.Peers, m.want.Meta.Peers) {
		return nil
	}
	m.say("the members to ask first: %s, in place of %s", names(m.want.Meta.Peers), names(m.have.Meta.Peers))
	return doc.Set(m.want.Meta.Peers, "meta", "peers")
}

// listeners gives roles that are new here their addresses.
func (m *merge) listeners(doc *config.Doc) error {
	if m.have.Ingest.Addr == "" && m.want.Ingest.Addr != "" {
		if err := doc.Set(m.want.Ingest.Addr, "ingest", "addr"); err != nil {
			return err
		}
	}
	if m.have.Gateway.Addr == "" && m.want.Gateway.Addr != "" {
		return doc.Set(m.want.Gateway.Addr, "gateway", "addr")
	}
	return nil
}

// keep names what the host has for itself.
func (m *merge) keep() {
	differ := func(key string, have, want any) {
		if h, w := fmt.Sprint(have), fmt.Sprint(want); h != w {
			m.j.Kept = append(m.j.Kept, fmt.Sprintf("%s: %s (the bundle has %s)", key, h, w))
		}
	}
	differ("log.level", m.have.Log.Level, m.want.Log.Level)
	differ("dead_after", m.have.DeadAfter, m.want.DeadAfter)
	differ("write_transport", m.have.WriteTransport, m.want.WriteTransport)
	differ("ingest.max_upload", m.have.Ingest.MaxUpload, m.want.Ingest.MaxUpload)
	if h, w := len(m.have.Data.Stores), len(m.want.Data.Stores); h != w {
		differ("data.stores", h, w)
	}
}

func (m *merge) say(format string, args ...any) {
	m.j.Changed = append(m.j.Changed, fmt.Sprintf(format, args...))
}

func names(peers []config.Peer) string {
	var out []string
	for _, p := range peers {
		out = append(out, p.ID+" at "+hostOf(p.API))
	}
	return strings.Join(out, ", ")
}

// hostOf is an address without its port; "" where there is none.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	return host
}

// ownAddrs are the addresses of a configuration that are the host's own.
func ownAddrs(c *config.Server) []string {
	out := []string{c.Ingest.Addr, c.Gateway.Addr, c.Gateway.Consensus}
	if self, ok := c.Self(); ok {
		out = append(out, self.API, self.Raft)
	}
	for _, s := range c.Data.Stores {
		out = append(out, s.Addr)
	}
	return out
}

// moved is the address at which a member's log knows it, where that is not its own in c.
func moved(c *config.Server) (was string, err error) {
	self, ok := c.Self()
	if !ok || !c.Has(config.RoleMeta) || !c.Meta.Join {
		return "", nil
	}
	body, err := os.ReadFile(filepath.Join(c.Meta.Dir, raftDir, "origin.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var origin struct{ Raft, API string }
	if err := json.Unmarshal(body, &origin); err != nil || origin.Raft == self.Raft && origin.API == self.API {
		return "", nil // what cannot be read is for the member to say
	}
	return origin.API, nil
}

// stopped refuses while a process has the member's log open.
func stopped(dir string) error {
	f, err := os.Open(filepath.Join(dir, raftDir, "raft.db"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%w: the host runs; a member that moves is stopped first (systemctl stop vstack)", vstack.ErrUnavailable)
	}
	return nil
}

// moveAside keeps the log of a member that was known at another address where it does not
// count: the member comes back as a new one, and has the catalog from the others.
func moveAside(j *Joined) error {
	was, err := moved(j.Config)
	if was == "" || err != nil {
		return err
	}
	to := filepath.Join(j.Config.Meta.Dir, raftDir+".until-"+time.Now().UTC().Format("20060102T150405Z"))
	if err := os.Rename(filepath.Join(j.Config.Meta.Dir, raftDir), to); err != nil {
		return err
	}
	j.Restart = true
	j.Changed = append(j.Changed, fmt.Sprintf("the member: it was known at %s, and comes back as a new one", was))
	j.Kept = append(j.Kept, "its log as it was: "+to)
	return nil
}

// raftDir is where in meta.dir a member has its log.
const raftDir = "raft"
