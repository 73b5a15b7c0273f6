package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/drill/sums"
	"github.com/vstack/vstack/bench/lab/program"
	"github.com/vstack/vstack/datanode/superblock/format"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

// LastOfLevel are the last commits of each feature level before this program's. A drill of
// an upgrade begins with each in turn. Levels 2 and 3 have none: they were published
// together with level 4.
var LastOfLevel = map[vstack.Level]string{vstack.LevelFirst: "cc9200c", vstack.LevelPolicy: "e4d095a", vstack.LevelAccess: "61ca293", vstack.LevelKeys: "047f54c"}

// refuseTimeout bounds how long a program may take to find that a host is too new for it.
const refuseTimeout = 30 * time.Second

// runUpgrade takes a cluster that an earlier program made to this program, host by host and
// with one step back, raises the level, and has the earlier one refused.
func runUpgrade(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	old := s.earlier
	order := append(slices.Clone(s.hosts[(n-1)%len(s.hosts):]), s.hosts[:(n-1)%len(s.hosts)]...)
	t := s.fault(order...)
	all := sums.Compare(ctx, s.rec, s.members, s.catalogSum)
	defer all.Stop()
	change := func(h site.Host, to program.Program) error {
		h.(*labHost).process.Use(to.Exe)
		t.Event(report.EventFault, "%s goes to %.12s", h.ID(), to.Commit)
		if err := s.restart(ctx, t, h); err != nil {
			return fmt.Errorf("host %s goes to %.12s: %w", h.ID(), to.Commit, err)
		}
		return s.agreed(ctx, all)
	}
	now := program.Program{Exe: s.opt.Exe, Commit: "this program"}
	for i, h := range order {
		steps := []program.Program{now}
		if i == 1 {
			steps = []program.Program{now, old, now} // rolled back, and forward again
		}
		for _, to := range steps {
			if err := change(h, to); err != nil {
				return t, err
			}
		}
	}
	if err := s.raise(ctx, t); err != nil {
		return t, err
	}
	if err := s.agreed(ctx, all); err != nil {
		return t, err
	}
	if err := s.refuse(ctx, t, order[len(order)-1].(*labHost), old, now); err != nil {
		return t, err
	}
	if err := s.agreed(ctx, all); err != nil {
		return t, err
	}
	return t, s.awaitWrite(ctx, time.Now())
}

// catalogSum asks one member.
func (s *session) catalogSum(ctx context.Context, member string) (uint64, string, error) {
	p, err := s.self(ctx, member)
	return p.Applied, p.Checksum, err
}

// agreed waits until the catalog of each member was compared with another's from now on.
func (s *session) agreed(ctx context.Context, all *sums.Sums) error {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	return all.Await(ctx, time.Now())
}

// raise waits until everybody knows the newest level, raises the cluster's, and waits until
// every store has taken note of it.
func (s *session) raise(ctx context.Context, t *report.Timeline) error {
	ctx, cancel := context.WithTimeout(ctx, healTimeout)
	defer cancel()
	for {
		r, err := s.cluster.Meta.Levels(ctx)
		if err == nil && r.Allowed >= vstack.NewestLevel {
			break
		}
		if !sleep.For(ctx, pollEvery) {
			return fmt.Errorf("wait for all to know level %d: %w: %+v: %w", vstack.NewestLevel, context.Cause(ctx), r, err)
		}
	}
	if _, err := s.cluster.Meta.RaiseLevel(ctx, vstack.NewestLevel); err != nil {
		return fmt.Errorf("raise the level: %w", err)
	}
	t.Event(report.EventMend, "the level is raised to %d", vstack.NewestLevel)
	for _, h := range s.hosts {
		for _, store := range h.(*labHost).process.Config.Data.Stores {
			if err := awaitFormat(ctx, store.Dir); err != nil {
				return fmt.Errorf("store %s of host %s: %w", store.Addr, h.ID(), err)
			}
		}
	}
	t.Event(report.EventMend, "every store is of format version %d", format.NewestPlain)
	return nil
}

// awaitFormat waits until a store says that it may hold records of the newest format.
func awaitFormat(ctx context.Context, dir string) error {
	for {
		b, err := os.ReadFile(filepath.Join(dir, "STORE"))
		if err != nil {
			return err
		}
		_, v, err := format.DecodeIdentity(b)
		if err == nil && v >= format.NewestPlain {
			return nil
		}
		if !sleep.For(ctx, pollEvery) {
			return fmt.Errorf("wait for format version %d, it has %d: %w: %w", format.NewestPlain, v, context.Cause(ctx), err)
		}
	}
}

// refuse starts a host once more with the earlier program, which must end by itself; then
// with this one.
func (s *session) refuse(ctx context.Context, t *report.Timeline, h *labHost, old, now program.Program) error {
	if err := h.Stop(ctx); err != nil {
		return err
	}
	h.process.Use(old.Exe)
	if err := h.Start(ctx); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, refuseTimeout)
	defer cancel()
	if !h.AwaitEnd(wait) {
		return fmt.Errorf("host %s runs %.12s on a cluster of level %d: %w: %s", h.ID(), old.Commit, vstack.NewestLevel, vstack.ErrLevelTooOld, h.process.LogTail(3))
	}
	t.Event(report.EventExit, "%s, with %.12s, refuses: %s", h.ID(), old.Commit, h.process.LogTail(1))
	h.process.Use(now.Exe)
	if err := s.revive(ctx, t, h); err != nil {
		return err
	}
	return s.ready(ctx, t)
}
