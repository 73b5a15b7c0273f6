package lab

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// maxHosts bounds a lab; a cluster of more hosts is set up by other means.
const maxHosts = 64

// minCertLife is for drills; nobody wants so short a life else.
const minCertLife = 10 * time.Second

// Spec says what lab to make.
type Spec struct {
	// Dir is the lab's directory. Required.
	Dir string
	// Hosts are the machines; empty makes Count hosts h1, h2 … on loopback.
	Hosts []HostSpec
	// Count is the number of loopback hosts. Default 3.
	Count int
	// FirstIP is the first loopback host's address; the others follow. Default 127.0.0.1.
	FirstIP string
	// Stores is the number of stores per host. Default 2.
	Stores int
	// Capacity is what each store may use; 0 is all that its disk has.
	Capacity config.Size
	// Superblock is the size of one append-only file. Default that of config.
	Superblock config.Size
	// Plain has the stores not be encrypted.
	Plain bool
	// WriteTransport carries chunk writes, tcp or quic. Default that of config.
	WriteTransport string
	// CertLife is how long hosts' certificates are good, which renew themselves after two
	// thirds of it; at most the default, identity.HostValidFor.
	CertLife time.Duration
	// RoundTrip is the longest between two hosts, 0 for that of one place.
	RoundTrip time.Duration
	// LogLevel of the hosts. Default info.
	LogLevel string
	// DeadAfter is a store's silence before its roles move. Default that of config.
	DeadAfter time.Duration
	// DropGrace is how long a store keeps what may go. Default that of the datanode.
	DropGrace time.Duration
	// Ports of every host.
	Ports Ports
}

// HostSpec is one machine of a lab.
type HostSpec struct {
	ID   vstack.HostID
	Addr string // IP address or DNS name that the others dial
}

// Ports are the same on every host; zero fields take the defaults.
type Ports struct {
	Raft   int // 7080
	API    int // 8080
	Stores int // 8081, and the numbers after it except Ingest's
	Ingest int // 8084
	// Gateway is where players are served: 8888.
	Gateway int
	// Consensus is where the consensus page is alone: 8889.
	Consensus int
}

// ParseHosts reads "a=10.0.0.1,b=10.0.0.2" or "10.0.0.1,10.0.0.2", where the hosts
// without a name become h1, h2 …
func ParseHosts(list []string) ([]HostSpec, error) {
	var out []HostSpec
	for i, item := range list {
		name, addr, named := strings.Cut(item, "=")
		if !named {
			name, addr = fmt.Sprintf("h%d", i+1), item
		}
		id, err := vstack.ParseHostID(name)
		if err != nil {
			return nil, err
		}
		if addr == "" || strings.ContainsAny(addr, "/ []") || strings.Contains(addr, ":") && net.ParseIP(addr) == nil {
			return nil, fmt.Errorf("host %s: address %q: %w: want an IP address or a DNS name, without a port", name, addr, vstack.ErrInvalid)
		}
		out = append(out, HostSpec{ID: id, Addr: addr})
	}
	return out, nil
}

func (s Spec) withDefaults() (Spec, error) {
	if s.Stores == 0 {
		s.Stores = 2
	}
	if s.Superblock == 0 {
		s.Superblock = config.DefaultServer().Data.Superblock
	}
	if s.WriteTransport == "" {
		s.WriteTransport = config.DefaultServer().WriteTransport
	}
	if s.CertLife == 0 {
		s.CertLife = identity.HostValidFor
	}
	if s.LogLevel == "" {
		s.LogLevel = config.DefaultServer().Log.Level
	}
	if s.DeadAfter == 0 {
		s.DeadAfter = config.DefaultServer().DeadAfter
	}
	setPort(&s.Ports.Raft, 7080)
	setPort(&s.Ports.API, 8080)
	setPort(&s.Ports.Stores, 8081)
	setPort(&s.Ports.Ingest, 8084)
	setPort(&s.Ports.Gateway, 8888)
	setPort(&s.Ports.Consensus, 8889)
	if len(s.Hosts) == 0 {
		if s.Count == 0 {
			s.Count = 3
		}
		if s.FirstIP == "" {
			s.FirstIP = "127.0.0.1"
		}
		ip, err := netip.ParseAddr(s.FirstIP)
		if err != nil {
			return s, fmt.Errorf("first address %q: %w: %v", s.FirstIP, vstack.ErrInvalid, err)
		}
		for i := range min(s.Count, maxHosts+1) {
			s.Hosts = append(s.Hosts, HostSpec{ID: vstack.HostID(fmt.Sprintf("h%d", i+1)), Addr: ip.String()})
			ip = ip.Next()
		}
	}
	return s, s.validate()
}

func (s Spec) validate() error {
	if s.Dir == "" {
		return fmt.Errorf("lab: %w: no directory", vstack.ErrInvalid)
	}
	if s.CertLife < minCertLife || s.CertLife > identity.HostValidFor {
		return fmt.Errorf("certificates for %v: %w: want %v to %v", s.CertLife, vstack.ErrInvalid, minCertLife, identity.HostValidFor)
	}
	if len(s.Hosts) < 1 || len(s.Hosts) > maxHosts {
		return fmt.Errorf("lab of %d hosts: %w: want 1 to %d", len(s.Hosts), vstack.ErrInvalid, maxHosts)
	}
	if s.Stores < 1 || s.Stores > 16 {
		return fmt.Errorf("%d stores per host: %w: want 1 to 16", s.Stores, vstack.ErrInvalid)
	}
	if n := len(s.Hosts) * s.Stores; n < vstack.Acceptors {
		return fmt.Errorf("lab of %d stores: %w: want at least %d, one for each copy of a chunk", n, vstack.ErrInvalid, vstack.Acceptors)
	}
	ids, addrs := map[vstack.HostID]bool{}, map[string]bool{}
	for _, h := range s.Hosts {
		if _, err := vstack.ParseHostID(string(h.ID)); err != nil {
			return err
		}
		if ids[h.ID] || addrs[h.Addr] {
			return fmt.Errorf("host %s at %s: %w: named twice", h.ID, h.Addr, vstack.ErrAlreadyExists)
		}
		ids[h.ID], addrs[h.Addr] = true, true
	}
	return nil
}

// voters is how many of the hosts form the metadata cluster: an odd number where it
// can be, because an even one tolerates no more failures than the odd one below it.
func (s Spec) voters() int {
	switch n := len(s.Hosts); {
	case n >= 5:
		return 5
	case n == 4:
		return 3
	default:
		return n
	}
}

// server is host i's configuration.
func (s Spec) server(i int) config.Server {
	c := config.DefaultServer()
	h := s.Hosts[i]
	c.Host, c.Roles = string(h.ID), config.Roles()
	for _, p := range s.Hosts[:s.voters()] {
		c.Meta.Peers = append(c.Meta.Peers, config.Peer{
			ID: string(p.ID), Raft: hostPort(p.Addr, s.Ports.Raft), API: hostPort(p.Addr, s.Ports.API),
		})
	}
	if i >= s.voters() {
		c.Roles = []string{config.RoleData, config.RoleIngest, config.RoleGateway}
	}
	port := s.Ports.Stores
	for n := range s.Stores {
		if port == s.Ports.Ingest {
			port++
		}
		c.Data.Stores = append(c.Data.Stores, config.Store{
			Dir: "stores/" + strconv.Itoa(n+1), Addr: hostPort(h.Addr, port), Capacity: s.Capacity,
		})
		port++
	}
	c.Data.Superblock = s.Superblock
	c.Ingest.Addr = hostPort(h.Addr, s.Ports.Ingest)
	c.Gateway.Addr, c.Gateway.Consensus = hostPort(h.Addr, s.Ports.Gateway), hostPort(h.Addr, s.Ports.Consensus)
	c.WriteTransport = s.WriteTransport
	c.Meta.RoundTrip = s.RoundTrip
	c.Log.Level = s.LogLevel
	c.DeadAfter = s.DeadAfter
	c.Data.DropGrace = s.DropGrace
	if s.Plain {
		c.Data.Encrypt = new(bool)
	}
	return c
}

// client is the configuration of the client bundle.
func (s Spec) client() config.Client {
	c := config.Client{TLS: ".", Output: "table"}
	for i, h := range s.Hosts {
		if i < s.voters() {
			c.Metastores = append(c.Metastores, hostPort(h.Addr, s.Ports.API))
		}
		c.Uploaders = append(c.Uploaders, hostPort(h.Addr, s.Ports.Ingest))
		c.Gateways = append(c.Gateways, hostPort(h.Addr, s.Ports.Gateway))
	}
	return c
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func setPort(p *int, def int) {
	if *p == 0 {
		*p = def
	}
}
