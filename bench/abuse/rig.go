package abuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/baseline"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/players"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// lasts is how long an attack goes on, when nothing else is said.
	lasts = 15 * time.Second
	// controls is how often an attack is aimed beside the host until nothing fails there.
	controls = 5

	// slower is how many times the p99 beside the host requests may take at p99, and floor
	// what that p99 counts at least: below it both are noise.
	slower = 3
	floor  = 50 * time.Millisecond
	// memoryBound is what a host's process may have resident (docs/limits.md).
	memoryBound = 1 << 30
	// logBound is how much a host may write into its log during an attack.
	logBound = 1 << 20

	// bareSize is the body of the listener that nobody uses.
	bareSize = 2 << 20
)

// Config is what a Rig needs.
type Config struct {
	*report.Recorder
	Exe     string
	Lab     *lab.Lab
	Cluster *cluster.Cluster
	Options
}

// Rig is a lab with honest clients, and the listener beside it.
type Rig struct {
	cfg     Config
	roots   string
	film    vstack.VideoID
	beside  *baseline.Bare
	strange []netip.Addr
}

// Open finds the largest film, which honest clients read, and starts the listener beside.
func Open(ctx context.Context, cfg Config) (*Rig, error) {
	r := &Rig{cfg: cfg, roots: filepath.Join(cfg.Lab.Client, "ca.crt")}
	films, err := cfg.Cluster.Videos(ctx, vstack.VideoPublished, 0)
	if err != nil {
		return nil, err
	}
	most := uint64(0)
	for _, f := range films {
		if uint64(f.Source.Size) > most {
			most, r.film = uint64(f.Source.Size), f.ID
		}
	}
	if most == 0 {
		return nil, fmt.Errorf("strangers: %w: there is no film that honest clients could read: want the load play", vstack.ErrInvalid)
	}
	first := cfg.Lab.Hosts[0]
	r.beside, err = baseline.Site{Exe: cfg.Exe, Lab: cfg.Lab}.StartBare(net.JoinHostPort(first.Addr(), "8099"), bareSize)
	if err != nil {
		return nil, err
	}
	at := netip.MustParseAddr("127.0.77.1")
	for range cfg.Keys {
		r.strange = append(r.strange, at)
		at = at.Next()
	}
	return r, nil
}

// Close ends the listener beside.
func (r *Rig) Close() error { return r.beside.Close() }

// Run aims an attack beside the host, then at the host, and records what was noticed. begin is
// called before the second; what it returns, after it.
func (r *Rig) Run(ctx context.Context, a Attack, h *lab.Host, last time.Duration, begin func() (end func() error, err error)) error {
	if last == 0 {
		last = lasts
	}
	clients, err := r.clients(ctx, h)
	if err != nil {
		return err
	}
	paths, target, err := r.aim(ctx, a, h, clients)
	if err != nil {
		return err
	}
	setup := Setup{Attack: a.Name, Target: r.beside.Addr, Paths: paths, Roots: r.roots, Strength: r.cfg.Strength, Keys: r.strange}
	before, err := r.control(ctx, clients, setup, last)
	if err != nil {
		return err
	}
	if err := players.ForgetPeak(h.Pid()); err != nil {
		return err
	}
	lines, err := size(h.Log())
	if err != nil {
		return err
	}
	end, err := begin()
	if err != nil {
		return err
	}
	setup.Target = target
	now, did, err := r.phase(ctx, clients, setup, last)
	if err := errors.Join(err, end()); err != nil {
		return err
	}
	most, err := players.PeakMemory(h.Pid())
	if err != nil {
		return err
	}
	grown, err := size(h.Log())
	if err != nil {
		return err
	}
	r.judge(a, before, now, did, int64(most), grown-lines)
	return nil
}

// control is what honest clients notice of an attack that is not aimed at their host. A
// failure among it is the machine's, which has other work: then it is waited for a better
// time, as often as controls says.
func (r *Rig) control(ctx context.Context, clients *honest, setup Setup, last time.Duration) (*seen, error) {
	for n := 1; ; n++ {
		s, _, err := r.phase(ctx, clients, setup, last)
		if err != nil || len(s.failed)+len(s.dead) == 0 || n == controls {
			return s, err
		}
		r.cfg.Recorder.Say("  %s: %d failures beside the host, %d of %d times: %s", setup.Attack, len(s.failed)+len(s.dead), n, controls, append(s.failed, s.dead...)[0])
	}
}

// phase is one attack and what honest clients see of it.
func (r *Rig) phase(ctx context.Context, clients *honest, setup Setup, last time.Duration) (*seen, string, error) {
	g, err := begin(r.cfg.Exe, setup)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, last)
	s := clients.during(ctx)
	why := ctx.Err()
	cancel()
	did, err := g.end()
	if !errors.Is(why, context.DeadlineExceeded) {
		err = errors.Join(err, why)
	}
	return s, fmt.Sprintf("%d connections, %d requests, %d refused, held %s", did.Connections, did.Requests, did.Refused, g.held), err
}

// judge records what was noticed.
func (r *Rig) judge(a Attack, before, now *seen, did string, most, grown int64) {
	rec := r.cfg.Recorder
	text := fmt.Sprintf("%s × %d from %d: %s; peak %d MiB, log %d KiB", a.Name, r.cfg.Strength, r.cfg.Keys, did, most>>20, grown>>10)
	for _, what := range []string{"chunks", "catalog"} {
		for _, t := range before.times[what] {
			rec.Observe(report.ProbeBeside, t)
		}
		for _, t := range now.times[what] {
			rec.Observe(report.ProbeTime, t)
		}
		rec.Add(report.Probes, int64(len(now.times[what])))
		was, is := before.quantile(what, 0.99), now.quantile(what, 0.99)
		text += fmt.Sprintf("; %s %d, p50 %s (beside %s), p99 %s (beside %s)", what, len(now.times[what]), ms(now.quantile(what, 0.5)),
			ms(before.quantile(what, 0.5)), ms(is), ms(was))
		if is > slower*max(was, floor) {
			rec.Fail(report.ProbeSlow, "%s: p99 of %s %s, beside it %s", a.Name, what, ms(is), ms(was))
		}
	}
	for _, why := range now.failed {
		rec.Fail(report.ProbeFailed, "%s: %s", a.Name, why)
	}
	for _, why := range now.dead {
		rec.Fail(report.LivezFailed, "%s: %s", a.Name, why)
	}
	if len(before.failed) > 0 {
		text += fmt.Sprintf("; beside it %d failed: %s", len(before.failed), before.failed[0])
	}
	if most > memoryBound {
		rec.Fail(report.MemoryOver, "%s: peak of %d MiB", a.Name, most>>20)
	}
	if grown > logBound {
		rec.Fail(report.LogOver, "%s: %d KiB of log", a.Name, grown>>10)
	}
	rec.Note("%s", text)
	rec.Say("  %s", strings.ReplaceAll(text, "; ", "\n    "))
}

func ms(d time.Duration) string { return report.Seconds(d.Seconds()) }

func size(file string) (int64, error) {
	st, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// clients are the honest ones of a host.
func (r *Rig) clients(ctx context.Context, h *lab.Host) (*honest, error) {
	roots, err := identity.LoadRoots(r.roots)
	if err != nil {
		return nil, err
	}
	self, ok := h.Config.Self()
	if !ok {
		return nil, fmt.Errorf("host %s: %w: it is no member", h.ID, vstack.ErrInvalid)
	}
	c := &honest{tls: roots.ClientTLS(), from: netip.MustParseAddr("127.0.76.1")}
	meta := "https://" + self.API
	c.catalog = []string{meta + "/v1/videos", meta + "/v1/videos/" + r.film.String() + "/manifest", meta + "/v1/placement"}
	c.livez = []string{meta + "/livez", "https://" + h.Config.Ingest.Addr + "/livez"}
	for _, s := range h.Config.Data.Stores {
		c.livez = append(c.livez, "https://"+s.Addr+"/livez")
	}
	c.pieces, err = r.pieces(ctx, h, c)
	return c, err
}

// pieces are the film's chunks that the host's stores have.
func (r *Rig) pieces(ctx context.Context, h *lab.Host, c *honest) ([]piece, error) {
	m, err := r.cfg.Cluster.Meta.Manifest(ctx, r.film)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var out []piece
	var wg sync.WaitGroup
	for _, s := range h.Config.Data.Stores {
		wg.Go(func() {
			rt, end := c.client(c.from, false)
			defer end()
			for _, ref := range m.Slots {
				url := "https://" + s.Addr + "/v1/chunks/" + ref.ID.String()
				body, err := get(ctx, rt, url, "", vstack.MaxChunkSize+1)
				if err != nil || vstack.ChunkIDOf(body) != ref.ID {
					continue // another store has it
				}
				mu.Lock()
				out = append(out, piece{url, body})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(out) == 0 {
		return nil, fmt.Errorf("host %s: %w: its stores have no chunk of film %s", h.ID, vstack.ErrNotFound, r.film)
	}
	return out, nil
}

// aim is where an attack goes, and what it asks for there.
func (r *Rig) aim(ctx context.Context, a Attack, h *lab.Host, c *honest) (paths []string, target string, err error) {
	self, _ := h.Config.Self() // it is a member
	film := "/v1/videos/" + r.film.String()
	switch a.Aim {
	case AtMetastore:
		if a.Name == "stuck-feeds" {
			return []string{"/v1/feed?since=0&wait=30"}, self.API, nil
		}
		return []string{film + "/placement", film + "/manifest", "/v1/placement", "/v1/videos?limit=1000"}, self.API, nil
	case AtUploader:
		return []string{"/v1/upload"}, h.Config.Ingest.Addr, nil
	case AtRaft:
		return []string{"/"}, self.Raft, nil
	}
	target = h.Config.Data.Stores[0].Addr
	for _, p := range c.pieces {
		if path, ok := strings.CutPrefix(p.url, "https://"+target); ok {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil, "", fmt.Errorf("store %s: %w: it has no chunk of the film", target, vstack.ErrNotFound)
	}
	return paths, target, nil
}
