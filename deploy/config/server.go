package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// The roles of one host.
const (
	RoleMeta   = "meta"   // metastore: Raft and the catalog
	RoleData   = "data"   // datanode: the stores
	RoleIngest = "ingest" // uploader
	// RoleGateway serves players: HLS, DASH, files, pages.
	RoleGateway = "gateway"
)

// Roles lists every role.
func Roles() []string { return []string{RoleMeta, RoleData, RoleIngest, RoleGateway} }

// Server is the configuration of one host.
type Server struct {
	// Host is the failure domain that the stores of this process belong to.
	Host string `yaml:"host"`
	// Roles are what this process runs; default meta, data and ingest.
	Roles []string `yaml:"roles"`
	// TLS is the directory of ca.crt, tls.crt and tls.key.
	TLS string `yaml:"tls"`
	// Meta is the metadata cluster: its founders, or any members and this host, so that
	// every host knows whom to ask first.
	Meta Meta `yaml:"meta"`
	// Data is the datanode.
	Data Data `yaml:"data"`
	// Ingest is the uploader.
	Ingest Ingest `yaml:"ingest"`
	// Gateway serves players.
	Gateway Gateway `yaml:"gateway,omitempty"`
	// WriteTransport carries chunk writes: tcp or quic.
	WriteTransport string `yaml:"write_transport"`
	Log            Log    `yaml:"log"`
	// Tracing says where spans go.
	Tracing Tracing `yaml:"tracing,omitempty"`
	// Debug is a loopback HOST:PORT for /debug/pprof; empty serves none.
	Debug string `yaml:"debug"`
	// DeadAfter is how long a store is silent before its roles move to other stores.
	// It counts on hosts with the role meta.
	DeadAfter time.Duration `yaml:"dead_after"`
	// RemoveAfter is for how long a member must be dead, or a store without a role silent, to be
	// removed by itself; 0 means the metastore's default, three days, below 0 never. A file leaves
	// it out unless it says otherwise: earlier programs know no such key.
	RemoveAfter time.Duration `yaml:"remove_after,omitempty"`
	// Grace bounds an orderly shutdown after SIGTERM.
	Grace time.Duration `yaml:"grace"`
}

// Tracing configures what becomes of spans.
type Tracing struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP; empty keeps none.
	Endpoint string `yaml:"endpoint,omitempty"`
	// Ratio is the share of traces that all processes keep, 0 to 1.
	Ratio float64 `yaml:"ratio,omitempty"`
	// Slow is from when on a host's part of a trace is kept for its time alone; 0 means 1 s.
	Slow time.Duration `yaml:"slow,omitempty"`
}

func (t *Tracing) validate(bad func(key, format string, args ...any)) {
	if u, err := url.Parse(t.Endpoint); t.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		bad("tracing.endpoint", "%q is not http://HOST:PORT or https://HOST:PORT", t.Endpoint)
	}
	if !(t.Ratio >= 0 && t.Ratio <= 1) { // also what is no number
		bad("tracing.ratio", "want 0 to 1")
	}
	if t.Slow < 0 {
		bad("tracing.slow", "want 0 for the default, or more")
	}
}

// Meta configures the metastore.
type Meta struct {
	Dir   string `yaml:"dir"` // Raft log, snapshots
	Peers []Peer `yaml:"peers"`
	// Join has an empty directory wait to be added to a cluster; it founds none.
	Join bool `yaml:"join"`
	// RoundTrip is the longest between two members, where they are far apart: Raft waits longer
	// then. A file leaves it out unless it says one: earlier programs know no such key.
	RoundTrip time.Duration `yaml:"round_trip,omitempty"`
}

// maxRoundTrip bounds Meta.RoundTrip: five of them pass before an election.
const maxRoundTrip = 2 * time.Second

// Peer is one member of the metadata cluster; the one whose ID is the host's is this one.
type Peer struct {
	ID   string `yaml:"id"`
	Raft string `yaml:"raft"` // HOST:PORT
	API  string `yaml:"api"`  // HOST:PORT
}

// Data configures the datanode.
type Data struct {
	Stores []Store `yaml:"stores"`
	// Superblock is the size of one append-only file.
	Superblock Size `yaml:"superblock"`
	// Overhead is how many bytes of garbage compaction leaves for each that counts; 0 means
	// the superblocks' default.
	Overhead float64 `yaml:"overhead,omitempty"`
	// DropGrace is how long a piece that may go stays, for readers with an older placement
	// map; 0 means the datanode's default, 10 minutes.
	DropGrace time.Duration `yaml:"drop_grace,omitempty"`
	// ScrubEvery is the time between two checks of every byte of a store, ScrubRate bounds one
	// in bytes a second; 0 means the datanode's defaults, 7 days and 16 MiB.
	ScrubEvery time.Duration `yaml:"scrub_every,omitempty"`
	ScrubRate  Size          `yaml:"scrub_rate,omitempty"`
	// NoBrowsers keeps web pages from reading from the stores themselves, at the port of each +
	// 1000 on UDP: they read through a gateway. A file leaves it out unless it does: earlier
	// programs know no such key.
	NoBrowsers bool `yaml:"no_browsers,omitempty"`
	// Encrypt says whether a store that is made is encrypted; default true. One that is there
	// stays what it is. A file leaves this and Key out unless it says otherwise: earlier programs
	// know no such keys.
	Encrypt *bool `yaml:"encrypt,omitempty"`
	// Key says what wraps the data keys of encrypted stores.
	Key Key `yaml:"key,omitempty"`
	// Catalog is the directory of what the host knows of the catalog, which may be lost; empty
	// means CatalogDir. A file leaves it out unless it says otherwise: programs of the first
	// release know no such key.
	Catalog string `yaml:"catalog,omitempty"`
}

// CatalogDir is the default of Data.Catalog, beside the configuration file.
const CatalogDir = "catalog"

// Store is one data directory and the address that serves it.
type Store struct {
	Dir      string `yaml:"dir"`
	Addr     string `yaml:"addr"`     // HOST:PORT, UDP and TCP
	Capacity Size   `yaml:"capacity"` // bytes it may use; 0 means the disk's
}

// Ingest configures the uploader.
type Ingest struct {
	Addr      string `yaml:"addr"`       // HOST:PORT
	Dir       string `yaml:"dir"`        // received files and job records
	MaxUpload Size   `yaml:"max_upload"` // larger files are refused
	// Open lets everybody upload who reaches the port, not administrators and who is on this
	// machine alone. A file leaves it out unless it does: earlier programs know no such key.
	Open     bool   `yaml:"open,omitempty"`
	MaxJobs  int    `yaml:"max_jobs"`  // jobs that run at once; 0 means the uploader's default
	InFlight int    `yaml:"in_flight"` // chunks on their way to the stores at once, over all jobs; 0 means the uploader's default
	FFmpeg   string `yaml:"ffmpeg"`    // program, looked up in PATH
	FFprobe  string `yaml:"ffprobe"`
	User     string `yaml:"user"` // account of FFmpeg's processes where the host runs as root
}

// Gateway configures the gateway.
type Gateway struct {
	Addr string `yaml:"addr"` // HOST:PORT with TLS, under the cluster's certificate or the one below
	// Cert and Key are PEM files of a certificate that browsers and television sets trust.
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
	// Plain is a loopback HOST:PORT without TLS, for a proxy on this machine.
	Plain string `yaml:"plain,omitempty"`
	// Consensus is HOST:PORT, under the same certificate, of the consensus page alone.
	Consensus string `yaml:"consensus,omitempty"`
	Cache     Size   `yaml:"cache,omitempty"` // bytes of chunks kept; 0 means the gateway's default
	// Pathways are other gateways of the same films by name, "https://HOST:PORT": players
	// that know content steering go on at another one when this one is busy or gone.
	Pathways map[string]string `yaml:"pathways,omitempty"`
}

// Log configures the process's log on standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text or json
}

// DefaultServer is what a file's missing keys mean.
func DefaultServer() Server {
	return Server{
		Roles:  []string{RoleMeta, RoleData, RoleIngest},
		TLS:    "tls",
		Meta:   Meta{Dir: "meta"},
		Data:   Data{Superblock: 1 << 30},
		Ingest: Ingest{Dir: "spool", MaxUpload: 64 << 30, FFmpeg: "ffmpeg", FFprobe: "ffprobe", User: "nobody"},
		// docs/adr has the measurement behind the default.
		WriteTransport: "tcp",
		Log:            Log{Level: "info", Format: "text"},
		DeadAfter:      10 * time.Minute,
		Grace:          10 * time.Second,
	}
}

// CertRoles are the roles as the host's certificate has them.
func (s *Server) CertRoles() (vstack.Roles, error) {
	return vstack.ParseRoles(strings.Join(s.Roles, ","))
}

// Has reports whether the process runs a role.
func (s *Server) Has(role string) bool { return slices.Contains(s.Roles, role) }

// Self is the host's own peer entry.
func (s *Server) Self() (Peer, bool) {
	i := slices.IndexFunc(s.Meta.Peers, func(p Peer) bool { return p.ID == s.Host })
	if i < 0 {
		return Peer{}, false
	}
	return s.Meta.Peers[i], true
}

// APIs are the metastore addresses to ask, the host's own first.
func (s *Server) APIs() []string {
	var out []string
	for _, p := range s.Meta.Peers {
		if p.ID == s.Host {
			out = append([]string{p.API}, out...)
		} else {
			out = append(out, p.API)
		}
	}
	return out
}

// Validate reports everything that is wrong, each with its key.
func (s *Server) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w: %s", key, vstack.ErrInvalid, fmt.Sprintf(format, args...)))
	}
	if _, err := vstack.ParseHostID(s.Host); err != nil {
		errs = append(errs, fmt.Errorf("host: %w", err))
	}
	if len(s.Roles) == 0 {
		bad("roles", "want some of %s", strings.Join(Roles(), ", "))
	}
	for _, r := range s.Roles {
		if !slices.Contains(Roles(), r) {
			bad("roles", "%q is none of %s", r, strings.Join(Roles(), ", "))
		}
	}
	s.validatePeers(bad)
	s.Tracing.validate(bad)
	if s.Has(RoleData) {
		s.validateStores(bad)
	}
	if s.Has(RoleIngest) {
		checkAddr(bad, "ingest.addr", s.Ingest.Addr)
		if s.Ingest.MaxUpload <= 0 {
			bad("ingest.max_upload", "want more than 0")
		}
		if s.Ingest.MaxJobs < 0 || s.Ingest.InFlight < 0 {
			bad("ingest", "max_jobs and in_flight are 0 or more")
		}
	}
	if s.Has(RoleGateway) {
		s.validateGateway(bad)
	}
	if s.WriteTransport != "tcp" && s.WriteTransport != "quic" {
		bad("write_transport", "%q is neither tcp nor quic", s.WriteTransport)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, s.Log.Level) {
		bad("log.level", "%q is none of debug, info, warn, error", s.Log.Level)
	}
	if s.Log.Format != "text" && s.Log.Format != "json" {
		bad("log.format", "%q is neither text nor json", s.Log.Format)
	}
	if s.Debug != "" && !loopback(s.Debug) {
		bad("debug", "%q is not a loopback HOST:PORT: profiles show memory, so they are not served to the network", s.Debug)
	}
	if s.DeadAfter <= 0 {
		bad("dead_after", "want more than 0")
	}
	if s.Grace <= 0 {
		bad("grace", "want more than 0")
	}
	return errors.Join(errs...)
}

func (s *Server) validatePeers(bad func(key, format string, args ...any)) {
	if len(s.Meta.Peers) == 0 {
		bad("meta.peers", "want at least one")
	}
	seen := map[string]bool{}
	for i, p := range s.Meta.Peers {
		key := fmt.Sprintf("meta.peers[%d]", i)
		if p.ID == "" || seen[p.ID] {
			bad(key+".id", "%q is empty or listed twice", p.ID)
		}
		seen[p.ID] = true
		checkAddr(bad, key+".raft", p.Raft)
		checkAddr(bad, key+".api", p.API)
	}
	if _, ok := s.Self(); s.Has(RoleMeta) && !ok {
		bad("meta.peers", "host %q has the role meta and is not in the list", s.Host)
	}
	if rt := s.Meta.RoundTrip; rt < 0 || rt > maxRoundTrip {
		bad("meta.round_trip", "%s is not from 0s to %s", rt, maxRoundTrip)
	}
}

func (s *Server) validateStores(bad func(key, format string, args ...any)) {
	if len(s.Data.Stores) == 0 {
		bad("data.stores", "the role data wants at least one store")
	}
	dirs, addrs := map[string]bool{}, map[string]bool{}
	for i, st := range s.Data.Stores {
		key := fmt.Sprintf("data.stores[%d]", i)
		if st.Dir == "" || dirs[filepath.Clean(st.Dir)] {
			bad(key+".dir", "%q is empty or used twice", st.Dir)
		}
		if addrs[st.Addr] {
			bad(key+".addr", "%q is used twice", st.Addr)
		}
		dirs[filepath.Clean(st.Dir)], addrs[st.Addr] = true, true
		checkAddr(bad, key+".addr", st.Addr)
		if st.Capacity < 0 {
			bad(key+".capacity", "want 0 or more")
		}
	}
	if s.Data.DropGrace < 0 {
		bad("data.drop_grace", "%s; want a duration, or 0 for the default", s.Data.DropGrace)
	}
	if s.Data.ScrubEvery < 0 || s.Data.ScrubRate < 0 {
		bad("data.scrub_every", "and data.scrub_rate: want 0 for the defaults, or more")
	}
	if !(s.Data.Overhead >= 0 && s.Data.Overhead <= 10) { // also what is no number
		bad("data.overhead", "want 0 to 10")
	}
	s.Data.Key.validate(bad)
	if s.Data.Superblock < 16<<20 {
		bad("data.superblock", "want 16MiB or more, so that a chunk of %d bytes fits", vstack.MaxChunkSize)
	}
}

func (s *Server) validateGateway(bad func(key, format string, args ...any)) {
	g := s.Gateway
	checkAddr(bad, "gateway.addr", g.Addr)
	if (g.Cert == "") != (g.Key == "") {
		bad("gateway.cert", "cert and key belong together")
	}
	if g.Consensus != "" {
		checkAddr(bad, "gateway.consensus", g.Consensus)
	}
	if g.Plain != "" && !loopback(g.Plain) {
		bad("gateway.plain", "%q is not a loopback HOST:PORT: it speaks no TLS, so that only a proxy on this machine may reach it", g.Plain)
	}
	for name, base := range g.Pathways {
		if u, err := url.Parse(base); err != nil || u.Scheme != "https" || u.Host == "" || name == s.Host {
			bad("gateway.pathways."+name, "%q is not https://HOST:PORT of another gateway", base)
		}
	}
	if g.Cache < 0 {
		bad("gateway.cache", "want 0 or more")
	}
}

func checkAddr(bad func(key, format string, args ...any), key, addr string) {
	if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
		bad(key, "%q is not HOST:PORT with the address that others dial", addr)
	}
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
