package drill

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
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/hostcmd"
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

// Given is a cluster that somebody else runs, to be drilled.
type Given struct {
	// Client is its client bundle, of an administrator.
	Client *config.Client
	// Hosts are all its hosts.
	Hosts *hostcmd.File
	// Confirm is asked before anything is done; its error ends the drill. Required.
	Confirm func(what string) error
}

// Suits refuses hosts to which the drill cannot be done, for it needs a lab of its own or
// commands that the hosts do not have.
func (d Drill) Suits(hosts *hostcmd.File) error {
	if d.commands == nil {
		return fmt.Errorf("%w: it needs a lab of its own", vstack.ErrInvalid)
	}
	return hosts.Want(d.commands...)
}

// ids are its hosts; none without a Given.
func (g *Given) ids() (out []vstack.HostID) {
	if g == nil {
		return nil
	}
	for _, h := range g.Hosts.Hosts {
		out = append(out, h.ID)
	}
	return out
}

// given is the site of a Given.
type given struct {
	Given
	drill   Drill
	cluster *cluster.Cluster
	own     []*givenHost
	members []string // HOST:PORT of the metastores' APIs
	dir     string
}

// openGiven asks the cluster nothing yet.
func openGiven(d Drill, opt Options) (*given, error) {
	if err := d.Suits(opt.Given.Hosts); err != nil {
		return nil, fmt.Errorf("drill %s: %w", d.Name, err)
	}
	if slices.Contains(opt.Loads, report.LoadUpload) || slices.Contains(opt.Loads, report.LoadPlay) {
		if _, err := exec.LookPath(ffmpeg); err != nil {
			return nil, console.Hint(fmt.Errorf("drill %s: find %s for the loads upload and play: %w: %w", d.Name, ffmpeg, vstack.ErrNotFound, err), "--load meta")
		}
	}
	c, err := cluster.Open(opt.Given.Client, nil)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vstack-clips-")
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("make directory for clips: %w", err)
	}
	return &given{Given: *opt.Given, drill: d, cluster: c, dir: dir}, nil
}

// start refuses a cluster that is not whole, or whose hosts are not those of the file.
func (g *given) start(ctx context.Context, _ Options) error {
	ends, err := g.health(ctx)
	if err != nil {
		return fmt.Errorf("drill %s: the cluster is not healthy, nothing was done to it: %w: %w", g.drill.Name, console.ErrDegraded, err)
	}
	if err := g.match(ends); err != nil {
		return fmt.Errorf("drill %s: %w", g.drill.Name, err)
	}
	for _, h := range g.own {
		if h.began, err = h.run(ctx, askTimeout); err != nil {
			return fmt.Errorf("drill %s: host %s: %w", g.drill.Name, h.ID(), err)
		}
	}
	var ids []string
	for _, h := range g.own {
		ids = append(ids, string(h.ID()))
	}
	return g.Confirm(fmt.Sprintf("do the drill %s (%s) to hosts %s of a cluster that somebody may use", g.drill.Name, g.drill.Doc, strings.Join(ids, ", ")))
}

// match makes the hosts: the file must name exactly those that the cluster has.
func (g *given) match(ends endpoints) error {
	for _, h := range g.Hosts.Hosts {
		if ends.of(h.ID) == nil {
			return fmt.Errorf("host %s: %w: the cluster has none of that name, its hosts are %s", h.ID, vstack.ErrInvalid, ends.names())
		}
	}
	for _, e := range ends {
		cmd := g.Hosts.Host(e.id)
		if cmd == nil {
			return fmt.Errorf("host %s: %w: it is one of the cluster's, and the file has no commands for it", e.id, vstack.ErrInvalid)
		}
		h := &givenHost{cmd: cmd, addr: e.addrs[0], ask: g.cluster.Began}
		for _, other := range ends {
			// The address was just asked.
			if host, _, err := net.SplitHostPort(other.addrs[0]); err == nil && other.id != e.id {
				h.peers = append(h.peers, host)
			}
		}
		g.own = append(g.own, h)
		if e.member {
			g.members = append(g.members, e.addrs[0])
		}
	}
	return nil
}

func (g *given) hosts() []host {
	var out []host
	for _, h := range g.own {
		out = append(out, h)
	}
	return out
}

func (g *given) env() (clients, error) {
	return clients{client: g.Client, members: g.members, dir: filepath.Join(g.dir, "clips"), ffmpeg: ffmpeg}, nil
}

func (g *given) ready(ctx context.Context, wait func(string)) error {
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
		if !load.Wait(ctx, readyEvery) {
			return fmt.Errorf("wait for the cluster: %w: %w; waiting for %s", vstack.ErrTimeout, context.Cause(ctx), last)
		}
	}
}

// mend takes back what the drill has done to hosts and not taken back yet.
func (g *given) mend() error {
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

// tidy removes what the loads made.
func (g *given) tidy(made *load.Made) error {
	ctx, cancel := context.WithTimeout(context.Background(), tidyTimeout)
	defer cancel()
	return made.Remove(ctx, g.cluster)
}

func (g *given) close() error {
	g.cluster.Close()
	return os.RemoveAll(g.dir)
}
