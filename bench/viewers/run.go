package viewers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/deploy/config"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

// Options say how much to measure.
type Options struct {
	Dir, Exe, FirstIP string // of the lab
	// Viewers of one film, and Films that have one viewer each. Defaults 200 and 50.
	Viewers, Films int
	// Rounds is how often gateway and nginx are measured in turn.
	Rounds int
	// Upload stores a file as a person does. Clip makes one of so many seconds, unlike any
	// other by its seed.
	Upload   func(ctx context.Context, client, file, title string) (vstack.VideoID, error)
	Progress func(string)
}

// Cache is what the measured gateway keeps, bytes: less than the films together.
const Cache = 64 << 20

// Result is what was measured.
type Result struct {
	Ours, Nginx []float64 // MB/s, by round, of the same bytes
	NoNginx     bool
	// Errors of all viewers in all parts, and the first of them.
	Errors int64
	First  error
	// Shared is bytes from stores ÷ bytes to viewers: of one film, and of many.
	SharedOne, SharedMany float64
	ManyRate              float64 // MB/s to one viewer each of many films
	Peak                  float64 // most memory of the gateway's process, bytes
	Killed                int     // hosts killed under viewers
	Viewers, Films        int
}

// bench is one run.
type bench struct {
	opt     Options
	lab     *lab.Lab
	gateway *gateway
	crowd   *crowd
	res     *Result
}

// Run measures. The lab is made and removed.
func Run(ctx context.Context, opt Options) (_ *Result, err error) {
	l, err := lab.Init(ctx, lab.Spec{Spec: deploy.Spec{FirstIP: opt.FirstIP, LogLevel: "warn"}, Under: opt.Dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	admin, err := l.Serve(ctx, opt.Exe)
	if err != nil {
		return nil, err
	}
	admin.Meta.Close()
	roots, err := identity.LoadRoots(filepath.Join(l.Client, "ca.crt")) // viewers have no certificate
	if err != nil {
		return nil, err
	}
	b := &bench{opt: opt, lab: l, crowd: newCrowd(roots.ClientTLS()), res: &Result{Viewers: opt.Viewers, Films: opt.Films}}
	films, err := b.upload(ctx)
	if err != nil {
		return nil, err
	}
	if b.gateway, err = startGateway(ctx, l, opt.Exe); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.gateway.close()) }()
	for _, part := range []func(context.Context, []vstack.VideoID) error{b.beside, b.many, b.killed} {
		if err := part(ctx, films); err != nil {
			return nil, err
		}
	}
	if b.res.Peak, err = b.gateway.peak(); err != nil {
		return nil, err
	}
	b.res.Errors, b.res.First = b.crowd.errors.Load(), b.crowd.first
	return b.res, nil
}

// upload stores the films: the first is the longest.
func (b *bench) upload(ctx context.Context) ([]vstack.VideoID, error) {
	var out []vstack.VideoID
	file := filepath.Join(b.lab.Dir, "clip.mp4")
	for i := range b.opt.Films {
		seconds := 6
		if i == 0 {
			seconds = 24
		}
		if err := clip(ctx, file, seconds, i); err != nil {
			return nil, err
		}
		id, err := b.opt.Upload(ctx, b.lab.Client, file, "film "+strconv.Itoa(i+1))
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

// clip is some 4 Mbit/s of noise that no other seed has.
func clip(ctx context.Context, path string, seconds, seed int) error {
	d := strconv.Itoa(seconds)
	out, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y",
		"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=640x360:rate=25:duration=%s,noise=alls=40:allf=t:all_seed=%d", d, seed+1),
		"-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:duration=%s", 200+seed, d),
		"-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make clip: %w: %s", err, out)
	}
	return nil
}

func (b *bench) open(ctx context.Context, id vstack.VideoID) (film, error) {
	client := b.crowd.client(0)
	defer client.CloseIdleConnections()
	return open(ctx, client, "https://"+b.gateway.addr+"/play/"+id.String()+"/")
}

// beside has all viewers see one film, from the gateway and from nginx in turn.
func (b *bench) beside(ctx context.Context, films []vstack.VideoID) (err error) {
	client := b.crowd.client(0)
	defer client.CloseIdleConnections()
	before, err := b.gateway.counters(ctx, client) // what is exported counts as a viewer's
	if err != nil {
		return err
	}
	f, err := b.open(ctx, films[0])
	if err != nil {
		return err
	}
	root := filepath.Join(b.lab.Dir, "files")
	if err := export(ctx, client, f, root, films[0].String()); err != nil {
		return err
	}
	host := b.lab.Hosts[0]
	n, err := startNginx(ctx, b.lab.Dir, root, host.Addr(), host.Config.TLS)
	if b.res.NoNginx = errors.Is(err, errNoNginx); err != nil && !b.res.NoNginx {
		return err
	}
	if n != nil {
		defer func() { err = errors.Join(err, n.close()) }()
	}
	rate := func(f film) (float64, error) {
		was := b.crowd.bytes.Load()
		took, err := b.crowd.watch(ctx, b.opt.Viewers, func(int) film { return f })
		return float64(b.crowd.bytes.Load()-was) / 1e6 / took.Seconds(), err
	}
	for range b.opt.Rounds {
		ours, err := rate(f)
		if err != nil {
			return err
		}
		b.res.Ours = append(b.res.Ours, ours)
		if n == nil {
			continue
		}
		theirs, err := rate(film{base: "https://" + n.addr + "/play/" + films[0].String() + "/", segments: f.segments})
		if err != nil {
			return err
		}
		b.res.Nginx = append(b.res.Nginx, theirs)
		b.opt.Progress(fmt.Sprintf("  %d viewers of one film: %.0f MB/s, nginx %.0f MB/s", b.opt.Viewers, ours, theirs))
	}
	after, err := b.gateway.counters(ctx, client)
	b.res.SharedOne = after.shared(before)
	return err
}

// many has one viewer a film see it.
func (b *bench) many(ctx context.Context, films []vstack.VideoID) error {
	list := make([]film, len(films))
	for i, id := range films {
		var err error
		if list[i], err = b.open(ctx, id); err != nil {
			return err
		}
	}
	client := b.crowd.client(0)
	defer client.CloseIdleConnections()
	before, err := b.gateway.counters(ctx, client)
	if err != nil {
		return err
	}
	was := b.crowd.bytes.Load()
	took, err := b.crowd.watch(ctx, len(list), func(i int) film { return list[i] })
	if err != nil {
		return err
	}
	b.res.ManyRate = float64(b.crowd.bytes.Load()-was) / 1e6 / took.Seconds()
	after, err := b.gateway.counters(ctx, client)
	b.res.SharedMany = after.shared(before)
	b.opt.Progress(fmt.Sprintf("  %d films at once: %.0f MB/s", len(list), b.res.ManyRate))
	return err
}

// killed has viewers go through all films at the pace of a film while one host after
// another is killed and started again.
func (b *bench) killed(ctx context.Context, films []vstack.VideoID) error {
	list := make([]film, len(films))
	for i, id := range films {
		var err error
		if list[i], err = b.open(ctx, id); err != nil {
			return err
		}
	}
	b.crowd.pace = 2 * time.Second
	defer func() { b.crowd.pace = 0 }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan error, 1)
	go func() {
		_, err := b.crowd.watch(ctx, b.opt.Viewers, func(i int) film { return list[i%len(list)] })
		watched <- err
	}()
	for _, h := range b.lab.Hosts[1:] {
		select { // let some be under way
		case err := <-watched:
			return err
		case <-time.After(2 * time.Second):
		}
		if err := h.Kill(); err != nil {
			return err
		}
		b.res.Killed++
		b.opt.Progress(fmt.Sprintf("  %s is killed", h.ID))
		select {
		case err := <-watched:
			return err
		case <-time.After(5 * time.Second):
		}
		if err := h.Restart(); err != nil {
			return err
		}
		ready, end := context.WithTimeout(ctx, time.Minute)
		err := b.lab.Ready(ready)
		end()
		if err != nil {
			return err
		}
	}
	return <-watched
}

// gateway is a process with that role only.
type gateway struct {
	addr string
	c    *exec.Cmd
	said bytes.Buffer
	done chan error
}

func startGateway(ctx context.Context, l *lab.Lab, exe string) (*gateway, error) {
	first := l.Hosts[0]
	ln, err := net.Listen("tcp", net.JoinHostPort(first.Addr(), "0"))
	if err != nil {
		return nil, err
	}
	g := &gateway{addr: ln.Addr().String(), done: make(chan error, 1)}
	if err := ln.Close(); err != nil {
		return nil, err
	}
	c := *first.Config
	c.Roles, c.Gateway = []string{config.RoleGateway}, config.Gateway{Addr: g.addr, Cache: Cache}
	file := filepath.Join(l.Dir, "gateway.yaml")
	if err := config.Write(file, "The measured gateway.", c); err != nil {
		return nil, err
	}
	g.c = exec.Command(exe, "server", "--config", file)
	g.c.Stderr = &g.said
	if err := g.c.Start(); err != nil {
		return nil, fmt.Errorf("start gateway: %w", err)
	}
	go func() { g.done <- g.c.Wait() }()
	for ctx.Err() == nil {
		select {
		case err := <-g.done:
			g.done <- err
			return nil, fmt.Errorf("gateway ended: %w: %s", err, g.said.String())
		default:
		}
		if conn, err := net.DialTimeout("tcp", g.addr, time.Second); err == nil {
			return g, conn.Close()
		}
		sleep.For(ctx, 20*time.Millisecond)
	}
	return nil, errors.Join(ctx.Err(), g.close())
}

func (g *gateway) close() error {
	if err := g.c.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-g.done
	return nil
}

// peak is the most memory that the process had resident.
func (g *gateway) peak() (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.c.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("memory of the gateway: %w", vstack.ErrNotFound)
}
