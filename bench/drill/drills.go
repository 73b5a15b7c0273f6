package drill

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vstack/vstack/bench/abuse"
	"github.com/vstack/vstack/bench/drill/report"
	"github.com/vstack/vstack/bench/drill/site"
	"github.com/vstack/vstack/bench/lab"
	"github.com/vstack/vstack/internal/hostcmd"
	"github.com/vstack/vstack/internal/sleep"
	"github.com/vstack/vstack/internal/vstack"
)

// Drill is a kind of fault and the way back.
type Drill struct {
	Name string
	Doc  string
	// Aliases are other names under which it is found.
	Aliases []string

	needs lab.Needs
	// earlier: each repetition has a lab of its own, which a program of Options.From makes.
	earlier bool
	// bounds hold beside those of every drill.
	bounds []string
	// strangers: the drill has attackers, and Options.Strangers counts.
	strangers bool
	// mayStall: no store may be there to play from, or no link that carries a film.
	mayStall bool
	// commands are what given hosts must have commands for; nil: the drill needs a lab of
	// its own.
	commands []hostcmd.Action
	// run begins the repetition with s.fault, and returns when nothing of the fault is
	// left but to heal.
	run func(ctx context.Context, s *session, n int) (*report.Timeline, error)
}

// Drills lists them.
func Drills() []Drill {
	return []Drill{
		{Name: "kill-leader", run: runKillLeader, commands: []hostcmd.Action{hostcmd.Kill, hostcmd.Start},
			Doc: "SIGKILL to the host that leads the metadata cluster; back once writes go on"},
		{Name: "pause-leader", run: runPauseLeader, commands: []hostcmd.Action{hostcmd.Pause, hostcmd.Resume},
			Doc: "SIGSTOP to the host that leads, for 0.1 to 30 s or --pause"},
		{Name: "partition-leader", run: runPartition, needs: namespaces, commands: []hostcmd.Action{hostcmd.Cut, hostcmd.Heal}, Aliases: []string{"partition"},
			Doc: "the host that leads is cut off both ways, from the other hosts and from everybody in turn, for 0.1 to 30 s or --pause; root"},
		{Name: "one-way-cut", run: runOneWayCut, needs: namespaces, commands: []hostcmd.Action{hostcmd.CutSends, hostcmd.CutReceives, hostcmd.Heal},
			Doc: "the host that leads sends and does not receive, or receives and does not send, in turn; otherwise as partition-leader; root"},
		{Name: "hung-disk", run: runHungDisk, needs: disks, commands: []hostcmd.Action{hostcmd.Freeze, hostcmd.Thaw, hostcmd.Start},
			Doc: "the disk of the leader's Raft log stops to answer for 5 s or --pause; root"},
		{Name: "slow-disk", run: runSlowDisk, needs: disks,
			Doc: "the disk of the leader's Raft log takes 0.3 s for a write, for 10 s or --pause; root"},
		{Name: "full-disk", run: runFullDisk, needs: disks,
			Doc: "the disk of the leader's Raft log is full until the host has ended and another leads; root"},
		{Name: "kill-host", run: runKillHost, commands: []hostcmd.Action{hostcmd.Kill, hostcmd.Start}, Aliases: []string{"kill-store"},
			Doc: "SIGKILL to each host in turn with its stores, leader or not; back after 3 s or --pause"},
		{Name: "all-hosts", run: runAllHosts, mayStall: true, commands: []hostcmd.Action{hostcmd.Kill, hostcmd.Start},
			Doc: "SIGKILL to all hosts at once; back at once"},
		{Name: "rolling", run: runRolling, commands: []hostcmd.Action{hostcmd.Stop, hostcmd.Start},
			Doc: "planned restart of every host, one after the other, each ready before the next"},
		{Name: "transfer", run: runTransfer, commands: []hostcmd.Action{},
			Doc: "planned hand-over of the leadership"},
		{Name: "resize", run: runResize,
			Doc: "two more hosts join the metadata cluster, then the leader and another leave it, or those that have joined, in turn"},
		{Name: "upgrade", run: runUpgrade, earlier: true, bounds: []string{report.HostExits + "==0", report.ChecksumSplits + "==0", report.Checksums + ">=1"},
			Doc: "a lab of an earlier version is upgraded host by host, one of them back and forth; then the level is raised, and the earlier program refused"},
		{Name: "memory-pressure", run: runMemoryPressure, needs: memory,
			Doc: "the host that leads gets no more memory than it cannot do without, for 10 s or --pause, or until the kernel has ended it; root"},
		{Name: "abuse", run: runAbuse, strangers: true, bounds: abuse.Bounds(),
			Doc: "strangers with a quarter of a processor attack the host that leads, in one way after the other, for 15 s each or --pause"},
		{Name: "chaos", run: runChaos, mayStall: true, needs: namespaces | links | disks | memory,
			Doc: "what --seed draws: a host crashes, stands still, is cut off, or has a slow or full disk or no memory, while links are slow and lossy; root"},
	}
}

// Find returns the drill of a name or an alias.
func Find(name string) (Drill, error) {
	for _, d := range Drills() {
		if d.Name == name || slices.Contains(d.Aliases, name) {
			return d, nil
		}
	}
	return Drill{}, fmt.Errorf("drill %.40q: %w: see vstack drill ls", name, vstack.ErrNotFound)
}

const (
	// awayFor is how long a host that kill-host killed stays away.
	awayFor = 3 * time.Second
	// resumeTimeout bounds the wait for clients to be served again.
	resumeTimeout = time.Minute
)

func runKillLeader(ctx context.Context, s *session, _ int) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := h.Kill(ctx); err != nil {
		return t, err
	}
	took := s.took(t, "%s, leader of term %d, killed", h.ID(), term)
	if err := watch.wait(ctx); err != nil {
		return t, err
	}
	if err := s.awaitWrite(ctx, took); err != nil {
		return t, err
	}
	return t, s.revive(ctx, t, h)
}

func runPauseLeader(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	h, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	pause := s.pause(n)
	t := s.fault(h)
	watch := s.watch(ctx, t, t.Fault, term)
	defer watch.stop()
	if err := h.Pause(ctx); err != nil {
		return t, err
	}
	took := s.took(t, "%s, leader of term %d, stopped for %s", h.ID(), term, report.Seconds(pause.Seconds()))
	alive := sleep.For(ctx, time.Until(took.Add(pause)))
	// A host must not stay stopped, however the drill ends.
	if err := h.Resume(context.WithoutCancel(ctx)); err != nil || !alive {
		return t, fmt.Errorf("resume host %s: %w", h.ID(), firstError(err, context.Cause(ctx)))
	}
	t.Event(report.EventMend, "%s goes on", h.ID())
	return t, s.awaitWrite(ctx, time.Now())
}

// pause is how long the fault of repetition n lasts.
func (s *session) pause(n int) time.Duration {
	if s.opt.Pause > 0 {
		return s.opt.Pause
	}
	return drawPause(s.opt.Seed, n)
}

// drawPause is log-uniform: as many pauses from 0.1 to 1 s as from 1 to 10 s.
func drawPause(seed uint64, n int) time.Duration {
	u := rand.New(rand.NewPCG(seed, uint64(n))).Float64()
	return time.Duration(float64(minPause) * math.Pow(float64(maxPause)/float64(minPause), u))
}

func runKillHost(ctx context.Context, s *session, n int) (*report.Timeline, error) {
	leader, term, err := s.leader(ctx)
	if err != nil {
		return nil, err
	}
	h := s.hosts[(n-1)%len(s.hosts)]
	away := s.opt.Pause
	if away == 0 {
		away = awayFor
	}
	t := s.fault(h)
	role := "a follower"
	if h == leader {
		role = fmt.Sprintf("leader of term %d", term)
		watch := s.watch(ctx, t, t.Fault, term)
		defer watch.stop()
	}
	if err := h.Kill(ctx); err != nil {
		return t, err
	}
	took := s.took(t, "%s, %s, killed", h.ID(), role)
	if err := s.awaitWrite(ctx, took); err != nil {
		return t, err
	}
	if !sleep.For(ctx, time.Until(t.Fault.Add(away))) {
		return t, context.Cause(ctx)
	}
	return t, s.revive(ctx, t, h)
}

func runRolling(ctx context.Context, s *session, _ int) (*report.Timeline, error) {
	t := s.fault(s.hosts...)
	for _, h := range s.hosts {
		if err := s.restart(ctx, t, h); err != nil {
			return t, err
		}
	}
	return t, s.awaitWrite(ctx, time.Now())
}

// restart is the planned restart of one host.
func (s *session) restart(ctx context.Context, t *report.Timeline, h site.Host) error {
	leader, term, err := s.leader(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if h == leader {
		s.took(t, "%s, leader of term %d, asked to end", h.ID(), term)
		watch := s.watch(ctx, t, began, term)
		defer watch.stop()
	} else {
		s.took(t, "%s asked to end", h.ID())
	}
	if err := h.Stop(ctx); err != nil {
		return err
	}
	if err := s.revive(ctx, t, h); err != nil {
		return err
	}
	return s.ready(ctx, t)
}

func (s *session) revive(ctx context.Context, t *report.Timeline, h site.Host) error {
	if err := h.Start(ctx); err != nil {
		return err
	}
	t.Event(report.EventMend, "%s started again", h.ID())
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Suits refuses hosts to which the drill cannot be done, for it needs a lab of its own or
// commands that the hosts do not have.
func (d Drill) Suits(hosts *hostcmd.File) error {
	if d.commands == nil {
		return fmt.Errorf("%w: it needs a lab of its own", vstack.ErrInvalid)
	}
	return hosts.Want(d.commands...)
}
