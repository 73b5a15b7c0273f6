package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/lab/program"
	"github.com/vstack/vstack/internal/cluster"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// startTimeout bounds the start of the lab, and healTimeout that of healing.
	startTimeout = 90 * time.Second
	healTimeout  = 2 * time.Minute
	// pollEvery is how often a member is asked whether it leads; it bounds the
	// resolution of leader_gap.
	pollEvery   = 5 * time.Millisecond
	pollTimeout = 500 * time.Millisecond
	// readGrace is how much longer than a pause one member may take for a read.
	readGrace = 10 * time.Second
	// cutPatience is how long a reader waits where networks are cut.
	cutPatience = 2 * time.Second
)

// session is a running cluster under load.
type session struct {
	site    site.Site
	hosts   []site.Host
	opt     Options
	cluster *cluster.Cluster
	members []string // HOST:PORT of the metastores' APIs
	rec     *report.Recorder
	loads   *load.Set
	made    *load.Made
	// earlier is the program that made the lab, where another than this did.
	earlier program.Program
}

// open starts the cluster and the loads' preparations. On an error nothing is left.
func open(ctx context.Context, d Drill, opt Options, rec *report.Recorder, earlier program.Program) (_ *session, err error) {
	s := &session{opt: opt, rec: rec, loads: &load.Set{}, made: load.NewMade(), earlier: earlier}
	if opt.Given == nil {
		rec.Say("starting three hosts")
	}
	if s.site, err = openSite(ctx, d, opt, earlier); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err = s.site.Start(ready); err != nil {
		return nil, err
	}
	s.hosts = s.site.Hosts()
	c, err := s.site.Env()
	if err != nil {
		return nil, err
	}
	s.members = c.Members
	if s.cluster, err = cluster.Open(c.Client, nil); err != nil {
		return nil, err
	}
	patience := maxPause + readGrace
	if d.needs&namespaces != 0 {
		// A question that a cut has swallowed is sent again by TCP up to half a minute later.
		patience = cutPatience
	}
	env := load.Env{Recorder: s.rec, Cluster: s.cluster, Client: c.Client, Members: s.members, Dir: c.Dir, FFmpeg: c.FFmpeg, Patience: patience, Made: s.made}
	loads, err := load.Open(ctx, env, opt.Loads)
	if err != nil {
		return nil, err
	}
	s.loads = loads
	return s, nil
}

// close mends what is broken, ends the loads, and leaves nothing of the drill.
func (s *session) close() error {
	mended := s.site.Mend()
	closed := s.loads.Close()
	tidied := s.site.Tidy(s.made)
	for _, err := range []error{mended, tidied} {
		if err != nil {
			s.rec.Say("  %v", err) // who interrupts is told nothing else
		}
	}
	err := errors.Join(mended, closed, tidied)
	if s.cluster != nil {
		s.cluster.Close()
	}
	return errors.Join(err, s.site.Close())
}

// fault begins a repetition: from here on times count.
func (s *session) fault(victims ...site.Host) *report.Timeline {
	var ids []vstack.HostID
	for _, h := range victims {
		ids = append(ids, h.ID())
	}
	t := s.rec.Begin(ids...)
	if s.loads.Meta != nil {
		s.loads.Meta.Begin(t.Fault)
	}
	return t
}

// took notes that the fault is there now.
func (s *session) took(t *report.Timeline, format string, args ...any) time.Time {
	at := t.Took(format, args...)
	if s.loads.Meta != nil {
		s.loads.Meta.Took(at)
	}
	return at
}

// leader waits until one member says that it leads, and returns its host and term.
func (s *session) leader(ctx context.Context) (site.Host, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	for i := 0; ; i++ {
		p, err := s.self(ctx, s.members[i%len(s.members)])
		if err == nil && p.State == "leader" {
			if h := s.host(vstack.HostID(p.ID)); h != nil {
				return h, p.Term, nil
			}
		}
		if !sleep.For(ctx, pollEvery) {
			return nil, 0, fmt.Errorf("find the leader: %w: %w", vstack.ErrNoLeader, context.Cause(ctx))
		}
	}
}

// host returns the host with an id, or nil.
func (s *session) host(id vstack.HostID) site.Host {
	for _, h := range s.hosts {
		if h.ID() == id {
			return h
		}
	}
	return nil
}

func (s *session) self(ctx context.Context, addr string) (wire.RaftPeer, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	var p wire.RaftPeer
	return p, s.cluster.Get(ctx, addr, "/v1/raft/self", &p)
}

// watching looks for a leader of a later term at every member.
type watching struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	found  chan struct{} // closed by the first that finds one
	once   sync.Once
}

// watch notes on the timeline when a member leads in a term after the given one.
func (s *session) watch(ctx context.Context, t *report.Timeline, since time.Time, term uint64) *watching {
	ctx, cancel := context.WithCancel(ctx)
	w := &watching{cancel: cancel, found: make(chan struct{})}
	for _, addr := range s.members {
		w.wg.Go(func() {
			for ctx.Err() == nil {
				p, err := s.self(ctx, addr)
				if err == nil && p.State == "leader" && p.Term > term {
					w.once.Do(func() {
						t.Led(time.Since(since))
						t.Event(report.EventLeader, "%s leads term %d", p.ID, p.Term)
						close(w.found)
						cancel()
					})
					return
				}
				sleep.For(ctx, pollEvery)
			}
		})
	}
	return w
}

// wait returns once a leader was found.
func (w *watching) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	select {
	case <-w.found:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for another leader: %w: %w", vstack.ErrNoLeader, context.Cause(ctx))
	}
}

func (w *watching) stop() {
	w.cancel()
	w.wg.Wait()
}

// awaitWrite returns once a write that began after a moment was acknowledged.
func (s *session) awaitWrite(ctx context.Context, after time.Time) error {
	if s.loads.Meta == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	for !s.loads.Meta.WroteSince(after) {
		if !sleep.For(ctx, pollEvery) {
			return fmt.Errorf("wait for an acknowledged write: %w: %w", vstack.ErrTimeout, context.Cause(ctx))
		}
	}
	return nil
}

// ready waits for every host and store. A host that ended by itself is counted and
// started again, as its service manager would.
func (s *session) ready(ctx context.Context, t *report.Timeline) error {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	for {
		err := s.site.Ready(ctx, func(what string) { t.Event(report.EventWait, "%s", what) })
		ended, serr := s.restartEnded(ctx, t)
		if ended == 0 || serr != nil || ctx.Err() != nil {
			return errors.Join(err, serr)
		}
	}
}

// restartEnded returns how many hosts ended by themselves.
func (s *session) restartEnded(ctx context.Context, t *report.Timeline) (ended int, err error) {
	for _, h := range s.hosts {
		exit, down := h.Ended(ctx)
		if exit == "" && !down {
			continue
		}
		ended++
		s.rec.Fail(report.HostExits, "%s ended by itself: %s", h.ID(), exit)
		t.Event(report.EventExit, "%s ended by itself", h.ID())
		if !down {
			continue
		}
		if err := h.Start(ctx); err != nil {
			return ended, err
		}
	}
	return ended, nil
}
