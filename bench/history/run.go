package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/lab"
	deploy "github.com/vstack/vstack/deploy/lab"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
)

const (
	// faultTime is how long a round breaks things; its histories end soon after.
	faultTime = 5 * time.Second
	// readyTimeout bounds the start of the lab and its return to health.
	readyTimeout = 90 * time.Second
	// checkLimit bounds the checker, for one slot.
	checkLimit = 20 * time.Second
	// maxStories bounds what a result tells in words.
	maxStories = 20
)

// Options say what to run.
type Options struct {
	// Dir is where the lab works, on a disk. Required.
	Dir string
	// Exe runs hosts as "EXE server …" and, with Args, client processes that call Serve.
	// Required.
	Exe  string
	Args []string
	// FirstIP is the first of three loopback addresses. Required without Namespaces.
	FirstIP string
	// Namespaces puts each host into a network namespace of its own and drops packets
	// between hosts, and between hosts and clients, instead of cutting links between
	// single clients and hosts. Needs root; see package netns.
	Namespaces bool
	// Histories to record. Default 60.
	Histories int
	// Lanes is how many histories run at once. Default 4.
	Lanes int
	// Slots of one history. Default 80.
	Slots int
	// Seed of everything that is drawn; processes and disks keep their own pace. Default 1.
	Seed uint64
	// Env is added to the environment of hosts and clients.
	Env []string
	// Progress, when set, is told how far it is.
	Progress func(string)
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" || o.Exe == "" || o.FirstIP == "" && !o.Namespaces {
		return o, fmt.Errorf("histories: %w: Dir, Exe and FirstIP are required", vstack.ErrInvalid)
	}
	if o.Histories < 0 || o.Lanes < 0 || o.Slots < 0 {
		return o, fmt.Errorf("histories: %w: negative number", vstack.ErrInvalid)
	}
	for _, d := range []struct {
		v   *int
		def int
	}{{&o.Histories, 60}, {&o.Lanes, 4}, {&o.Slots, 80}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o, nil
}

// runner is a run under way.
type runner struct {
	opt    Options
	lab    *lab.Lab
	meta   *metaclient.Client
	reads  *reader
	stores []string // addresses to link clients with
	// waiting is what the lab's readiness waited for last: a string.
	waiting atomic.Value
	lanes   []*lane
	faults  *faults

	mu  sync.Mutex // guards res
	res Result
}

// Run records and judges histories. A violation is no error: see Result.
func Run(ctx context.Context, opt Options) (_ *Result, err error) {
	if opt, err = opt.withDefaults(); err != nil {
		return nil, err
	}
	r := &runner{opt: opt}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	for first := 0; first < opt.Histories; first += opt.Lanes {
		if err := r.round(ctx, uint64(first), min(opt.Lanes, opt.Histories-first)); err != nil {
			return &r.res, err
		}
		opt.Progress(fmt.Sprintf("  %d histories, %d operations, %d violating, %.0f s", r.res.Histories, r.res.Operations, r.res.Violating, time.Since(began).Seconds()))
	}
	r.res.Faults = r.faults.counts
	return &r.res, nil
}

func (r *runner) open(ctx context.Context) error {
	spec := lab.Spec{Spec: deploy.Spec{FirstIP: r.opt.FirstIP, Stores: 1, Superblock: 64 << 20, LogLevel: "warn"}, Under: r.opt.Dir}
	if r.opt.Namespaces {
		spec.FirstIP, spec.Needs = "", lab.Namespaces
	}
	var err error
	if r.lab, err = lab.Init(ctx, spec); err != nil {
		return err
	}
	r.lab.Env = r.opt.Env
	r.waiting.Store("nothing yet")
	r.lab.OnWait = func(s string) { r.waiting.Store(s) }
	admin, err := r.lab.Serve(ctx, r.opt.Exe)
	if err != nil {
		return err
	}
	r.meta = admin.Meta
	r.reads = newReader(admin.ID.ClientTLS(), r.meta.Placement)
	for _, h := range r.lab.Hosts {
		for _, s := range h.Config.Data.Stores {
			r.stores = append(r.stores, s.Addr)
		}
	}
	if r.lab.Net != nil {
		r.stores = nil // no links: clients reach the hosts over the bridge
	}
	for range r.opt.Lanes {
		r.lanes = append(r.lanes, &lane{r: r})
	}
	r.faults = &faults{lab: r.lab, lanes: r.lanes, counts: map[string]int{}}
	return nil
}

func (r *runner) close() error {
	var errs []error
	for _, l := range r.lanes {
		for _, p := range l.all() {
			errs = append(errs, p.close())
		}
	}
	if r.reads != nil {
		r.reads.close()
	}
	if r.meta != nil {
		r.meta.Close()
	}
	if r.lab != nil {
		errs = append(errs, r.lab.Close())
	}
	return errors.Join(errs...)
}

// round records n histories at once, under the same faults.
func (r *runner) round(ctx context.Context, first uint64, n int) error {
	all := make([]*history, n)
	for i := range all {
		h, err := r.lanes[i].newHistory(ctx, first+uint64(i))
		if err != nil {
			return err
		}
		all[i] = h
	}
	var broken errgroup.Group
	broken.Go(func() error {
		return r.faults.run(ctx, rand.New(rand.NewPCG(r.opt.Seed, first)), faultTime)
	})
	var g errgroup.Group
	for _, h := range all {
		g.Go(h.faulted)
	}
	if err := errors.Join(g.Wait(), broken.Wait()); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := r.lab.Ready(ready); err != nil {
		for _, h := range r.lab.Hosts {
			err = fmt.Errorf("%w\n%s, process %d, says last:\n%s", err, h.ID, h.Pid(), h.LogTail(20))
		}
		return fmt.Errorf("after the faults, waiting for %s: %w", r.waiting.Load(), err)
	}
	for _, h := range all {
		g.Go(func() error {
			if err := h.settle(); err != nil {
				return err
			}
			return r.judge(ctx, h)
		})
	}
	return g.Wait()
}

// judge checks a history, reads its chunks back and lets its upload go.
func (r *runner) judge(ctx context.Context, h *history) error {
	v := Check(h.ops, checkLimit)
	lost, wrong, err := r.readBack(ctx, h)
	if err != nil {
		return fmt.Errorf("history %d: read back: %w", h.id, err)
	}
	r.record(h, v, lost, wrong)
	up, err := r.meta.Upload(ctx, h.up.ID)
	if err == nil {
		err = r.meta.AbortUpload(ctx, up.ID, up.Incarnation)
	}
	if err != nil {
		return fmt.Errorf("history %d: end its upload: %w", h.id, err)
	}
	return nil
}

// record adds a judged history to the result.
func (r *runner) record(h *history, v Verdict, lost, wrong int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := &r.res
	res.Histories++
	for _, op := range h.ops {
		res.add(op)
	}
	res.Chosen += len(values(h.ops))
	res.Lost, res.Wrong = res.Lost+lost, res.Wrong+wrong
	if len(v.Violating) > 0 {
		res.Violating++
	}
	if len(v.Undecided) > 0 {
		res.Undecided++
	}
	for _, seq := range append(v.Violating, v.Undecided...) {
		r.tell(fmt.Sprintf("history %d, slot %d is not a write-once register:\n%s", h.id, seq, Story(h.ops, seq)))
	}
	if missing := h.slots - len(values(h.ops)); missing > 0 {
		res.Undecided++
		r.tell(fmt.Sprintf("history %d: %d slots were never settled", h.id, missing))
	}
}

// readBack asks every acceptor for each chunk that a client was told of: at least two
// must give its bytes, and none may give others.
func (r *runner) readBack(ctx context.Context, h *history) (lost, wrong int, err error) {
	m, err := r.meta.Placement(ctx)
	if err != nil {
		return 0, 0, err
	}
	for seq, id := range values(h.ops) {
		group, _ := m.Group(vstack.Slot{Video: h.up.Video, Track: 1, Seq: seq})
		good := 0
		for _, sid := range group.Acceptors() {
			s, ok := m.Store(sid)
			if !ok {
				continue
			}
			data, err := r.reads.get(ctx, s.Addr, id)
			switch {
			case err != nil:
				r.note("history %d: %v", h.id, err)
			case data == nil: // this acceptor was not of the majority
			case vstack.ChunkIDOf(data) == id:
				good++
			default:
				wrong++
			}
		}
		if good < vstack.Majority {
			lost++
			r.note("history %d: chunk %s of slot %d is at %d acceptors", h.id, id.Short(), seq, good)
		}
	}
	return lost, wrong, nil
}

// note keeps a sentence for the result, within bounds.
func (r *runner) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(fmt.Sprintf(format, args...))
}

// tell is note with the lock held.
func (r *runner) tell(s string) {
	if len(r.res.Stories) < maxStories {
		r.res.Stories = append(r.res.Stories, s)
	}
}
