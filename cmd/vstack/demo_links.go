//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/bench/lab/netns"
	"github.com/vstack/vstack/bench/link/shape"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/console"
)

// demoLink is a kind of link that the demo can have.
type demoLink struct {
	name, doc string
	plan      shape.Plan
}

// near is a round trip that members of a cluster need not be told of.
const near = 50 * time.Millisecond

// roundTrip is the longest between two hosts behind such links each, 0 where that is near.
func (l demoLink) roundTrip() time.Duration {
	var oneWay time.Duration
	for _, p := range l.plan.Phases {
		oneWay = max(oneWay, p.Shape.Delay+p.Shape.Jitter)
	}
	if far := 4 * oneWay; far > near {
		return far
	}
	return 0
}

// demoLinks are those that a person may want to see, before the profiles of vstack link.
func demoLinks() []demoLink {
	links := []demoLink{
		{"lan", "1 Gbit/s, 0.5 ms each way", shape.Always(shape.Shape{Rate: 1e9, Delay: 500 * time.Microsecond})},
		{"wan", "50 Mbit/s, 20 ms each way, ± 2 ms", shape.Always(shape.Shape{Rate: 50e6, Delay: 20 * time.Millisecond, Jitter: 2 * time.Millisecond})},
		{"lossy", "50 Mbit/s, 20 ms each way, 2 of 100 packets vanish", shape.Always(shape.Shape{Rate: 50e6, Delay: 20 * time.Millisecond, Loss: 0.02})},
	}
	for _, p := range shape.Profiles() {
		links = append(links, demoLink{p.Name, p.Doc, p.Plan})
	}
	return links
}

// demoLinkText lists them for --help.
func demoLinkText() string {
	var b strings.Builder
	for _, l := range demoLinks() {
		fmt.Fprintf(&b, "  %-14s %s\n", l.name, l.doc)
	}
	return b.String()
}

// parseDemoLink takes a name, or the file of a trace.
func parseDemoLink(s string) (demoLink, error) {
	var names []string
	for _, l := range demoLinks() {
		if l.name == s {
			return l, nil
		}
		names = append(names, l.name)
	}
	if _, err := os.Stat(s); err != nil {
		return demoLink{}, fmt.Errorf("%w: --link %q is neither a file nor one of %s", console.ErrUsage, s, strings.Join(names, ", "))
	}
	t, err := shape.ReadTrace(s)
	if err != nil {
		return demoLink{}, err
	}
	plan, err := t.Plan(shape.Shape{}, 1, 0)
	return demoLink{s, "as the trace has it, round and round", plan}, err
}

// linkNeeds are what a demo with links must have.
const linkNeeds = lab.Namespaces | lab.Links

// linkSubnet is the first address of a free subnet for hosts in namespaces.
func linkSubnet() (string, error) {
	if err := linkNeeds.Available(); err != nil {
		return "", console.Hint(fmt.Errorf("--link: %w", err), "sudo, or vstack link before single ports")
	}
	first, err := netns.FreeSubnet()
	return first.String(), err
}

// open gives every host a namespace and a link of this kind, both ways.
func (l demoLink) open(ctx context.Context, hosts *deploy.Lab) (io.Closer, error) {
	if err := netns.Sweep(ctx); err != nil {
		return nil, err
	}
	n, err := lab.Network(ctx, hosts, linkNeeds, 1)
	if err != nil {
		return nil, console.Hint(fmt.Errorf("--link: %w", err), "another --dir: %s was made without --link", hosts.Dir)
	}
	for i := range hosts.Hosts {
		if err := n.SetLink(i, l.plan, l.plan); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}
