//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vstack/vstack/bench/link/viewer"
	"github.com/vstack/vstack/bench/screening"
	kinds "github.com/vstack/vstack/bench/viewing/scenario"
	"github.com/vstack/vstack/deploy/pages"
	"github.com/vstack/vstack/internal/vstack"
)

// pageLinks are the links of bench's scenarios between a viewer in this process and the hosts.
type pageLinks struct{}

// openLinks are those that a comparison may go over.
func openLinks() pages.Links { return pageLinks{} }

// emulated are the scenarios that need nothing but links, and play by a clock.
func emulated() []kinds.Scenario {
	return slices.DeleteFunc(kinds.All(), func(s kinds.Scenario) bool {
		return s.Virtual() || s.Download || s.Typed || s.Traces != ""
	})
}

// Ls implements pages.Links.
func (pageLinks) Ls() (out []pages.LinkKind) {
	for _, s := range emulated() {
		out = append(out, pages.LinkKind{Name: s.Name, Doc: s.Doc})
	}
	return out
}

// Open implements pages.Links. A scenario is of three hosts: of more, every third one has the
// same link.
func (pageLinks) Open(kind string, seed uint64, stores []vstack.Store) (pages.LinkedNetwork, error) {
	all := emulated()
	i := slices.IndexFunc(all, func(s kinds.Scenario) bool { return s.Name == kind })
	if i < 0 {
		return nil, fmt.Errorf("links %q: %w", kind, vstack.ErrNotFound)
	}
	layout := all[i].Draw(kinds.Rand(seed), nil)
	byHost := map[vstack.HostID][]string{}
	var hosts []vstack.HostID
	for _, s := range stores {
		if byHost[s.Host] == nil {
			hosts = append(hosts, s.Host)
		}
		byHost[s.Host] = append(byHost[s.Host], s.Addr)
	}
	slices.SortFunc(hosts, func(a, b vstack.HostID) int { return strings.Compare(string(a), string(b)) })
	cfg := viewer.Config{Seed: seed, Up: screening.PlanOf(layout.Up), Down: screening.PlanOf(layout.Down)}
	for k, id := range hosts {
		h := layout.Hosts[k%len(layout.Hosts)]
		cfg.Hosts = append(cfg.Hosts, viewer.Host{Addrs: byHost[id], Up: screening.PlanOf(h.Up), Down: screening.PlanOf(h.Down)})
	}
	return viewer.Open(cfg)
}
