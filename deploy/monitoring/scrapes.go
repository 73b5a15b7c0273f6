package monitoring

import (
	"net"
	"slices"
	"strings"
	"time"

	"github.com/vstack/vstack/internal/wire"
)

// Host is whom to ask of one host: addresses HOST:PORT by role, "meta", "data", "ingest",
// "gateway". Of data one store's address will do: they answer the same.
type Host struct {
	Name string            `json:"name"`
	Addr map[string]string `json:"addresses"`
}

// Scrapes is a cluster as Prometheus asks it.
type Scrapes struct {
	Cluster string // label of everything that is scraped
	CA      string // file of the cluster's authority, as Prometheus sees it
	Rules   string // file of the rules, as Prometheus sees it
	Every   time.Duration
	Hosts   []Host
}

type prometheusYAML struct {
	Global    map[string]any   `yaml:"global"`
	RuleFiles []string         `yaml:"rule_files"`
	Scrapes   []map[string]any `yaml:"scrape_configs"`
}

type targetYAML struct {
	Targets []string          `yaml:"targets"`
	Labels  map[string]string `yaml:"labels"`
}

// roles are those that are scraped, in the order of the file.
var roles = []string{"meta", "data", "ingest", "gateway"}

// PrometheusFile is the configuration of a Prometheus that watches the cluster.
func PrometheusFile(s Scrapes) ([]byte, error) {
	every := s.Every
	if every == 0 {
		every = 15 * time.Second
	}
	out := prometheusYAML{
		Global:    map[string]any{"scrape_interval": every.String(), "evaluation_interval": every.String()},
		RuleFiles: []string{s.Rules},
	}
	hosts := slices.SortedFunc(slices.Values(s.Hosts), func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
	for _, role := range roles {
		var targets []targetYAML
		for _, h := range hosts {
			if addr := h.Addr[role]; addr != "" {
				targets = append(targets, targetYAML{[]string{addr}, map[string]string{"cluster": s.Cluster, "node": h.Name}})
			}
		}
		if len(targets) == 0 {
			continue
		}
		out.Scrapes = append(out.Scrapes, map[string]any{
			"job_name": "vstack-" + role, "scheme": "https", "tls_config": map[string]string{"ca_file": s.CA}, "static_configs": targets,
		})
	}
	return encode("Prometheus of a V-Stack cluster. Written by `vstack monitoring`.", out)
}

// HostsOf puts together whom a cluster's bundle, members and stores name. Addresses of a
// machine belong to one host, by its stores and members; one that is known by neither is named
// by its address.
func HostsOf(members []wire.RaftMember, nodes []wire.Node, uploaders, gateways []string) []Host {
	byName, named := map[string]*Host{}, map[string]string{}
	add := func(name, role, addr string) {
		h := byName[name]
		if h == nil {
			h = &Host{Name: name, Addr: map[string]string{}}
			byName[name] = h
		}
		if old := h.Addr[role]; old == "" || addr < old { // one of a host's stores, and the same each time
			h.Addr[role] = addr
		}
		if ip, _, err := net.SplitHostPort(addr); err == nil {
			named[ip] = name
		}
	}
	for _, m := range members {
		add(m.ID, "meta", m.API)
	}
	for _, n := range nodes {
		for _, st := range n.Stores {
			add(string(n.Host), "data", st.Addr)
		}
	}
	for role, addrs := range map[string][]string{"ingest": uploaders, "gateway": gateways} {
		for _, addr := range addrs {
			ip, _, err := net.SplitHostPort(addr)
			if err != nil {
				ip = addr
			}
			name := named[ip]
			if name == "" {
				name = ip
			}
			add(name, role, addr)
		}
	}
	out := make([]Host, 0, len(byName))
	for _, h := range byName {
		out = append(out, *h)
	}
	slices.SortFunc(out, func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
	return out
}
