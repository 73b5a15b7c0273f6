package drill

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vstack/vstack/bench/drill/load"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/cluster"
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

// session is a running lab under load.
type session struct {
	*place
	opt     Options
	cluster *cluster.Cluster
	members []string // HOST:PORT of the metastores' APIs
	rec     *report.Recorder
	loads   *load.Set
	healing atomic.Pointer[report.Timeline] // whose healing is waited for
}

// open starts the lab and the loads' preparations. On an error nothing is left.
func open(ctx context.Context, d Drill, opt Options) (_ *session, err error) {
	s := &session{opt: opt, rec: report.NewRecorder(opt.Progress), loads: &load.Set{}}
	if s.place, err = openPlace(ctx, d.needs, opt); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.lab.Env = opt.Env
	s.lab.OnWait = func(what string) {
		if t := s.healing.Load(); t != nil {
			t.Event(report.EventWait, "%s", what)
		}
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err = s.lab.Start(ready, opt.Exe); err != nil {
		return nil, fmt.Errorf("start lab: %w", err)
	}
	client, err := config.LoadClient(s.lab.Client, nil, nil)
	if err != nil {
		return nil, err
	}
	s.members = client.Metastores
	if s.cluster, err = cluster.Open(client, nil); err != nil {
		return nil, err
	}
	patience := maxPause + readGrace
	if d.needs == namespaces {
		// A question that a cut has swallowed is sent again by TCP up to half a minute later.
		patience = cutPatience
	}
	env := load.Env{Recorder: s.rec, Cluster: s.cluster, Client: client, Members: s.members, Dir: filepath.Join(s.lab.Dir, "clips"),
		FFmpeg: s.lab.Hosts[0].Config.Ingest.FFmpeg, Patience: patience}
	loads, err := load.Open(ctx, env, opt.Loads)
	if err != nil {
		return nil, err
	}
	s.loads = loads
	return s, nil
}

// close ends the loads and the hosts, and removes a directory that nobody named.
func (s *session) close() error {
	err := s.loads.Close()
	if s.cluster != nil {
		s.cluster.Close()
	}
	return errors.Join(err, s.place.close())
}

// fault begins a repetition: from here on times count.
func (s *session) fault(victims ...*lab.Host) *report.Timeline {
	var ids []vstack.HostID
	for _, h := range victims {
		ids = append(ids, h.ID)
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
func (s *session) leader(ctx context.Context) (*lab.Host, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	for i := 0; ; i++ {
		p, err := s.self(ctx, s.members[i%len(s.members)])
		if err == nil && p.State == "leader" {
			if h := s.lab.Host(vstack.HostID(p.ID)); h != nil {
				return h, p.Term, nil
			}
		}
		if !load.Wait(ctx, pollEvery) {
			return nil, 0, fmt.Errorf("find the leader: %w: %w", vstack.ErrNoLeader, context.Cause(ctx))
		}
	}
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
				load.Wait(ctx, pollEvery)
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
		if !load.Wait(ctx, pollEvery) {
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
	s.healing.Store(t)
	defer s.healing.Store(nil)
	for {
		var ended *lab.Host
		for _, h := range s.lab.Hosts {
			if h.Pid() == 0 {
				ended = h
			}
		}
		if ended == nil {
			err := s.lab.Ready(ctx)
			if err == nil || ctx.Err() != nil || allRun(s.lab) {
				return err
			}
			continue
		}
		s.rec.Fail(report.HostExits, "%s ended by itself: %s", ended.ID, ended.LogTail(3))
		t.Event(report.EventExit, "%s ended by itself", ended.ID)
		if err := ended.Start(); err != nil {
			return err
		}
	}
}

func allRun(l *lab.Lab) bool {
	for _, h := range l.Hosts {
		if h.Pid() == 0 {
			return false
		}
	}
	return true
}
