package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/deploy/pages"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

const (
	// labTimeout bounds the start of a lab on a slow machine.
	labTimeout = 90 * time.Second
	// electionPatience bounds the wait for a leader that all follow: a busy machine may
	// elect another one while the film is stored.
	electionPatience = 10 * time.Second
	// reviveAfter is how long a killed host of the demo stays away.
	reviveAfter = 5 * time.Second
)

// Config is what one demo shows, and where it tells of it.
type Config struct {
	Lab  lab.Spec // an empty Dir is a temporary one, removed at the end
	File string   // to store; empty: a clip that ffmpeg makes
	Once bool     // end after the playback was verified
	// Links, when set, has the hosts of a lab reach everybody over links of their own. It is called
	// before they start; what it returns is closed after they ended.
	Links func(context.Context, *lab.Lab) (io.Closer, error)
	// CompareOver, when set, is what the pages' comparisons may go over.
	CompareOver pages.Links
	// Drills, when set, makes what the pages do to the hosts of a lab by the commands of a file.
	Drills func(l *lab.Lab, file string) (pages.Drills, error)
	// Version is told by the pages.
	Version wire.Version
	// Args0 is how the person called the program, for the commands to try next.
	Args0       string
	Printer     *console.Printer
	Paint       console.Painter
	NewProgress func() (*console.Progress, error)
}

// demo is one run.
type demo struct {
	cfg  Config
	p    *console.Printer
	prog *console.Progress
	spec lab.Spec
	keep bool // the directory was named by the person and stays

	lab     *lab.Lab
	cluster *cluster.Cluster
	links   io.Closer // nil without
}

// Run shows the demo and, unless Config.Once, serves until ctx ends. It leaves no
// process behind.
func Run(ctx context.Context, cfg Config) (err error) {
	d := &demo{cfg: cfg, p: cfg.Printer, spec: cfg.Lab}
	if d.cfg.File != "" {
		if _, err := os.Stat(d.cfg.File); err != nil {
			return console.Hint(err, "vstack demo, which makes a clip of its own")
		}
	}
	if d.spec.Count < 1 || d.spec.Stores < 1 {
		return fmt.Errorf("%w: --hosts %d --stores %d: want at least 1 of each", console.ErrUsage, d.spec.Count, d.spec.Stores)
	}
	// A reader of the output that went away must not end the demo before it tidied up.
	gone := make(chan os.Signal, 1)
	signal.Notify(gone, syscall.SIGPIPE)
	defer signal.Stop(gone)
	if err := d.openLab(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if d.cfg.Links != nil {
		if d.links, err = d.cfg.Links(ctx, d.lab); err != nil {
			return err
		}
	}
	if d.prog, err = d.cfg.NewProgress(); err != nil {
		return err
	}
	res, err := d.show(ctx)
	d.prog.Close()
	if err != nil {
		return err
	}
	if d.p.Format == console.FormatTable {
		d.printSummary(res)
	} else if err := d.p.Print(res, nil); err != nil {
		return err
	}
	if d.cfg.Once {
		return nil
	}
	return d.serve(ctx)
}

// openLab makes the lab, or takes the one that an earlier run left in --dir.
func (d *demo) openLab() error {
	var err error
	if d.keep = d.spec.Dir != ""; !d.keep {
		if d.spec.Dir, err = lab.TempDir("demo"); err != nil {
			return err
		}
	}
	if lab.Exists(d.spec.Dir) {
		d.lab, err = lab.Load(d.spec.Dir)
	} else {
		d.lab, err = lab.Init(d.spec)
	}
	if err != nil && !d.keep {
		err = errors.Join(err, os.RemoveAll(d.spec.Dir))
	}
	return err
}

// close ends every process, and removes a directory that nobody asked for.
func (d *demo) close() error {
	if d.cluster != nil {
		d.cluster.Close()
	}
	err := d.lab.Close()
	if d.links != nil {
		err = errors.Join(err, d.links.Close())
	}
	if !d.keep {
		err = errors.Join(err, os.RemoveAll(d.lab.Dir))
	}
	return err
}

// show does what the demo is for and gathers what to tell.
func (d *demo) show(ctx context.Context) (*Result, error) {
	if err := d.startLab(ctx); err != nil {
		return nil, err
	}
	client, err := config.LoadClient(d.lab.Client, nil, nil)
	if err != nil {
		return nil, err
	}
	if d.cluster, err = cluster.Open(client, nil); err != nil {
		return nil, err
	}
	res := &Result{Lab: d.lab.Dir}
	if err := d.store(ctx, res); err != nil {
		return nil, err
	}
	m, err := d.cluster.Meta.Manifest(ctx, res.Video.ID)
	if err != nil {
		return nil, err
	}
	for _, t := range m.Tracks {
		t.Chunks = nil
		res.Tracks = append(res.Tracks, t)
	}
	if res.Playback, err = d.cluster.Play(ctx, d.prog, m, "", quicclient.PlayOptions{}); err != nil {
		return nil, err
	}
	res.Playback.Log = nil // `video play --report` has it
	if res.Copies, err = d.cluster.Verify(ctx, d.prog, res.Video.ID, true); err != nil {
		return nil, err
	}
	if res.Playback.Verified != res.Playback.Total || res.Copies.Unreadable > 0 {
		return nil, fmt.Errorf("playback verified %d of %d chunks, %d chunks have no good copy", res.Playback.Verified, res.Playback.Total, res.Copies.Unreadable)
	}
	return res, d.describe(ctx, res)
}

func (d *demo) startLab(ctx context.Context) error {
	for _, h := range d.lab.Hosts {
		if h.NetNS != "" {
			continue // nobody else is in its namespace
		}
		if f := doctor.Ports(ctx, h.Config); f.State == doctor.Fail {
			return console.Hint(fmt.Errorf("start host %s: %s: %w", h.ID, f.Detail, vstack.ErrUnavailable),
				"another --dir with --first-ip 127.0.1.1, or see who it is: %s", f.Fix)
		} else if f.Served > 0 {
			return console.Hint(fmt.Errorf("start host %s: %s: %w", h.ID, f.Detail, vstack.ErrAlreadyExists), "vstack --cluster %s video ls", d.lab.Client)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	task := d.prog.Task("hosts", console.UnitCount, int64(len(d.lab.Hosts)))
	d.lab.OnWait = func(what string) { task.Set(0, int64(len(d.lab.Hosts)), console.Shorten(what, 90)) }
	ctx, cancel := context.WithTimeout(ctx, labTimeout)
	defer cancel()
	start := time.Now()
	if err := d.lab.Start(ctx, exe); err != nil {
		task.Fail("not ready")
		return console.Hint(fmt.Errorf("start lab: %w", err), "vstack doctor --cluster %s, and read %s", d.lab.Client, filepath.Join(d.lab.Dir, "hosts/*/log"))
	}
	task.End(fmt.Sprintf("ready after %s", console.Took(time.Since(start))))
	return nil
}

// store uploads the file, unless the lab has it already.
func (d *demo) store(ctx context.Context, res *Result) error {
	videos, err := d.cluster.Videos(ctx, vstack.VideoPublished, 0)
	if err != nil {
		return err
	}
	res.Videos = len(videos)
	if d.cfg.File == "" && len(videos) > 0 {
		res.Video, res.Found = videos[0], true
		return nil
	}
	if d.cfg.File != "" && len(videos) > 0 {
		sum, err := d.cluster.Hash(ctx, d.prog, d.cfg.File)
		if err != nil {
			return err
		}
		for _, v := range videos {
			if v.Source.SHA256 == sum {
				res.Video, res.Found = v, true
				return nil
			}
		}
	}
	file, title := d.cfg.File, ""
	if file == "" {
		file, title = filepath.Join(d.lab.Dir, "clip.mp4"), "V-Stack test clip"
		if err := makeClip(ctx, d.prog, d.lab.Hosts[0].Config.Ingest.FFmpeg, file); err != nil {
			return err
		}
	}
	start := time.Now()
	job, err := d.cluster.Upload(ctx, d.prog, file, cluster.UploadOptions{Title: title})
	if err != nil {
		return fmt.Errorf("upload %s: %w", file, err)
	}
	res.Upload, res.UploadTook = &job, time.Since(start).Seconds()
	res.Videos++
	res.Video, err = d.cluster.Meta.Video(ctx, job.Video)
	return err
}

// describe asks the cluster for what the summary tells.
func (d *demo) describe(ctx context.Context, res *Result) error {
	elected, cancel := context.WithTimeout(ctx, electionPatience)
	defer cancel()
	var err error
	if res.Raft, err = d.cluster.FollowedLeader(elected); err != nil {
		return err
	}
	pl, err := d.cluster.Meta.VideoPlacement(ctx, res.Video.ID)
	if err != nil {
		return err
	}
	res.HostsCanFail, res.StoresCanFail = pl.HostsCanFail, pl.StoresCanFail
	for _, h := range d.lab.Hosts {
		res.Hosts = append(res.Hosts, Host{string(h.ID), h.Addr(), h.Pid(), h.Log()})
	}
	return nil
}

// serve waits for Ctrl-C. A host that ends meanwhile comes back: people are invited to
// kill one. It does so until the pages have ended, too: a drill that they run mends its hosts first.
func (d *demo) serve(ctx context.Context) error {
	var drills pages.Drills
	if d.cfg.Drills != nil {
		file, err := d.lab.WriteHostsFile()
		if err != nil {
			return err
		}
		if drills, err = d.cfg.Drills(d.lab, file); err != nil {
			return err
		}
	}
	serving, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	shown, hide := context.WithCancel(ctx)
	defer hide()
	pagesEnded := d.openPages(shown, drills)
	d.p.Say("\nServing. Ctrl-C ends the hosts.")
	ended := make(chan *lab.Host)
	watch := func(h *lab.Host) {
		select {
		case <-h.Exited():
			select {
			case ended <- h:
			case <-serving.Done():
			}
		case <-serving.Done():
		}
	}
	for _, h := range d.lab.Hosts {
		go watch(h)
	}
	revive := make(chan *lab.Host, len(d.lab.Hosts))
	for stopping := ctx.Done(); ; {
		select {
		case <-stopping:
			d.p.Say("\nstopping %d hosts", len(d.lab.Hosts))
			stopping = nil
		case err := <-pagesEnded:
			return err
		case h := <-ended:
			d.p.Say("%s ended; the others go on. It comes back in %s.", h.ID, reviveAfter)
			timer := time.AfterFunc(reviveAfter, func() { revive <- h })
			defer timer.Stop()
		case h := <-revive:
			if err := h.Start(); err != nil {
				hide()
				return errors.Join(err, <-pagesEnded)
			}
			d.p.Say("%s is back as process %d and catches up.", h.ID, h.Pid())
			go watch(h)
		}
	}
}
