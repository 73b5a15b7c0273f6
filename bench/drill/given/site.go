package given

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// ffmpeg draws the clips that are sent to a given cluster.
	ffmpeg = "ffmpeg"
	// readyEvery is how often a given cluster is asked for its health.
	readyEvery = 50 * time.Millisecond
	// mendTimeout bounds the mending of each host at the end, and tidyTimeout the removal
	// of what the loads made.
	mendTimeout = 5 * time.Minute
	tidyTimeout = 2 * time.Minute
)

// Cluster is one that somebody else runs, to be drilled.
type Cluster struct {
	// Client is its client bundle, of an administrator.
	Client *config.Client
	// Hosts are all its hosts.
	Hosts *hostcmd.File
	// Confirm is asked before anything is done; its error ends the drill. Required.
	Confirm func(what string) error
}

// IDs are its hosts; none of a nil Cluster.
func (g *Cluster) IDs() (out []vstack.HostID) {
	if g == nil {
		return nil
	}
	for _, h := range g.Hosts.Hosts {
		out = append(out, h.ID)
	}
	return out
}

// Site is a Cluster as the site of a drill.
type Site struct {
	of        Cluster
	name, doc string // of the drill
	cluster   *cluster.Cluster
	own       []*host
	members   []string // HOST:PORT of the metastores' APIs
	dir       string
}

// Open readies a drill of that name, which does what doc says, under loads. It asks the cluster
// nothing yet.
func Open(c Cluster, name, doc string, loads []report.Load) (*Site, error) {
	if slices.Contains(loads, report.LoadUpload) || slices.Contains(loads, report.LoadPlay) {
		if _, err := exec.LookPath(ffmpeg); err != nil {
			return nil, console.Hint(fmt.Errorf("drill %s: find %s for the loads upload and play: %w: %w", name, ffmpeg, vstack.ErrNotFound, err), "--load meta")
		}
	}
	asked, err := cluster.Open(c.Client, nil)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vstack-clips-")
	if err != nil {
		asked.Close()
		return nil, fmt.Errorf("make directory for clips: %w", err)
	}
	return &Site{of: c, name: name, doc: doc, cluster: asked, dir: dir}, nil
}

// Start refuses a cluster that is not whole, or whose hosts are not those of the file.
func (g *Site) Start(ctx context.Context) error {
	ends, err := g.health(ctx)
	if err != nil {
		return fmt.Errorf("drill %s: the cluster is not healthy, nothing was done to it: %w: %w", g.name, console.ErrDegraded, err)
	}
	if err := g.match(ends); err != nil {
		return fmt.Errorf("drill %s: %w", g.name, err)
	}
	for _, h := range g.own {
		if h.began, err = h.run(ctx, askTimeout); err != nil {
			return fmt.Errorf("drill %s: host %s: %w", g.name, h.ID(), err)
		}
	}
	var ids []string
	for _, h := range g.own {
		ids = append(ids, string(h.ID()))
	}
	return g.of.Confirm(fmt.Sprintf("do the drill %s (%s) to hosts %s of a cluster that somebody may use", g.name, g.doc, strings.Join(ids, ", ")))
}

// match makes the hosts: the file must name exactly those that the cluster has.
func (g *Site) match(ends endpoints) error {
	for _, h := range g.of.Hosts.Hosts {
		if ends.of(h.ID) == nil {
			return fmt.Errorf("host %s: %w: the cluster has none of that name, its hosts are %s", h.ID, vstack.ErrInvalid, ends.names())
		}
	}
	for _, e := range ends {
		cmd := g.of.Hosts.Host(e.id)
		if cmd == nil {
			return fmt.Errorf("host %s: %w: it is one of the cluster's, and the file has no commands for it", e.id, vstack.ErrInvalid)
		}
		h := &host{cmd: cmd, addr: e.addrs[0], ask: g.cluster.Began}
		for _, other := range ends {
			// The address was just asked.
			if ip, _, err := net.SplitHostPort(other.addrs[0]); err == nil && other.id != e.id {
				h.peers = append(h.peers, ip)
			}
		}
		g.own = append(g.own, h)
		if e.member {
			g.members = append(g.members, e.addrs[0])
		}
	}
	return nil
}

func (g *Site) Hosts() []site.Host {
	var out []site.Host
	for _, h := range g.own {
		out = append(out, h)
	}
	return out
}

func (g *Site) Env() (site.Clients, error) {
	return site.Clients{Client: g.of.Client, Members: g.members, Dir: filepath.Join(g.dir, "clips"), FFmpeg: ffmpeg}, nil
}

func (g *Site) Ready(ctx context.Context, wait func(string)) error {
	last := ""
	for {
		_, err := g.health(ctx)
		if err == nil {
			return nil
		}
		if text := err.Error(); text != last && ctx.Err() == nil {
			last = text
			wait(text)
		}
		for _, h := range g.own {
			if h.lost(ctx) {
				return fmt.Errorf("host %s: %w: it has ended", h.ID(), vstack.ErrUnavailable)
			}
		}
		if !sleep.For(ctx, readyEvery) {
			return fmt.Errorf("wait for the cluster: %w: %w; waiting for %s", vstack.ErrTimeout, context.Cause(ctx), last)
		}
	}
}

// Mend takes back what the drill has done to hosts and not taken back yet.
func (g *Site) Mend() error {
	errs := make([]error, len(g.own))
	var wg sync.WaitGroup
	for i, h := range g.own {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), mendTimeout)
			defer cancel()
			errs[i] = h.mend(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Tidy removes what the loads made.
func (g *Site) Tidy(made *load.Made) error {
	ctx, cancel := context.WithTimeout(context.Background(), tidyTimeout)
	defer cancel()
	return made.Remove(ctx, g.cluster)
}

func (g *Site) Close() error {
	g.cluster.Close()
	return os.RemoveAll(g.dir)
}
