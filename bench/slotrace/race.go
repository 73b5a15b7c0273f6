package slotrace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/vstack/vstack/bench/paired"
	"github.com/vstack/vstack/bench/report"
	"github.com/vstack/vstack/bench/rig"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/quicclient"
)

const (
	// raceSlots is how many slots two uploaders race for in one round, a pair of proposals
	// every racePace: a load that leaves the machine room, so that what a bystander waits
	// for is not the processor.
	raceSlots = 500
	racePace  = 12 * time.Millisecond
	raceChunk = 16 << 10
	// raceJitter is how long a racer may wait at the start line, so that both win some.
	raceJitter = 6 * time.Millisecond
	// raceWidth is how many connections the contender has.
	raceWidth = 64
	// raceTries bounds how often a racer asks for a slot whose fate it did not learn.
	raceTries = 10
)

// Options say how long to race.
type Options struct {
	// Rounds is how many races there are, besides one that warms connections up.
	Rounds int
	// Progress is told of each round.
	Progress func(string)
}

// race is two uploaders, and one that has nothing to do with them.
type race struct {
	c         *rig.Cluster
	opt       Options
	raced     *rig.Upload
	owner     *quicclient.Client // of the raced upload: round 0 is its own
	contender *quicclient.Client // the classic path
	apart     [2]*rig.Upload     // where the two fill slots of their own
	other     *rig.Upload        // the bystander's
	bystander *quicclient.Client
	rng       *rand.Rand

	mu      sync.Mutex // guards all below
	learned map[vstack.Slot]vstack.Value
	wins    [2]int
	told    int // losers that were told of the conflict, with the winner's value
}

// Run has two uploaders propose different bytes for the same slots, and times a
// third one's commits beside them.
func Run(ctx context.Context, c *rig.Cluster, opt Options) (_ []report.Row, err error) {
	r := &race{c: c, opt: opt, owner: c.Chunks, rng: rand.New(rand.NewPCG(1, 2)), learned: map[vstack.Slot]vstack.Value{}}
	if r.contender, err = c.NewWideClient(raceWidth, vstack.ProposerID(uuid.New())); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.contender.Close()) }()
	if r.bystander, err = c.NewClient(quicclient.WriteTCP); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.bystander.Close()) }()
	for _, u := range []**rig.Upload{&r.raced, &r.apart[0], &r.apart[1], &r.other} {
		if *u, err = c.OpenUpload(ctx, "slot-race"); err != nil {
			return nil, err
		}
	}
	rows, err := r.bystanderRows(ctx)
	if err != nil {
		return nil, err
	}
	agreed, err := r.check(ctx)
	if err != nil {
		return nil, err
	}
	n := float64(r.wins[0] + r.wins[1])
	rows = append(rows,
		report.Figure("slot-race", "slots raced for", "", n, nil),
		report.Figure("slot-race", "slots whose one value both learned, and a third party after them", "", float64(agreed), report.Exactly(n)),
		report.Figure("slot-race", "losers told SLOT_CONFLICT", "", float64(r.told), report.Exactly(n)),
		report.Figure("slot-race", "won by the owner, by round 0", "", float64(r.wins[0]), nil),
		report.Figure("slot-race", "won by the contender, by two phases", "", float64(r.wins[1]), nil))
	return rows, nil
}

// bystanderRows times the bystander: beside the race, beside the same two uploaders at
// the same pace in slots of their own, and alone. All three take turns.
func (r *race) bystanderRows(ctx context.Context) ([]report.Row, error) {
	sides := []func(context.Context) error{r.collide, r.keepApart, r.rest}
	figures := make([][]besideFigures, len(sides))
	for round := range r.opt.Rounds + 1 {
		r.opt.Progress(fmt.Sprintf("  round %d of %d", round, r.opt.Rounds))
		for s := range sides {
			which := (s + round) % len(sides)
			f, err := r.beside(ctx, sides[which])
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first one warms connections up
				figures[which] = append(figures[which], f)
			}
		}
	}
	var rows []report.Row
	for base, name := range []string{1: "beside the same two, slots of their own", 2: "alone"} {
		if base == 0 {
			continue // ours
		}
		for _, q := range []struct {
			name  string
			of    func(besideFigures) float64
			bound *report.Bound
		}{
			{"p50", func(f besideFigures) float64 { return f.p50 }, report.AtMost(1.2)},
			{"p99", func(f besideFigures) float64 { return f.p99 }, report.AtMost(1.5)},
		} {
			row := report.Row{Scenario: "slot-race", Name: "uncontended commit beside the race, " + q.name + [...]string{1: "", 2: ", by itself"}[base], Unit: "ms", Baseline: name}
			if base == 1 {
				row.Bound = q.bound
			}
			for i := range figures[0] {
				row.Pairs = append(row.Pairs, paired.Pair{Ours: q.of(figures[0][i]), Base: q.of(figures[base][i])})
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// besideFigures are of the bystander's commits, in ms.
type besideFigures struct{ p50, p99 float64 }

// beside times the bystander's commits, one after the other, while load runs.
func (r *race) beside(ctx context.Context, load func(context.Context) error) (besideFigures, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	over := make(chan struct{})
	g.Go(func() error {
		defer close(over)
		return load(ctx)
	})
	var each []float64
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
			start := time.Now()
			if err := r.other.Put(ctx, r.bystander, r.other.Slot(), rig.RandomChunk(raceChunk)); err != nil {
				stop()
				return besideFigures{}, errors.Join(err, g.Wait())
			}
			each = append(each, time.Since(start).Seconds()*1e3)
		}
	}
	return besideFigures{p50: paired.Quantile(each, 0.5), p99: paired.Quantile(each, 0.99)}, g.Wait()
}

// paced calls start for each of a round's slots at its time, and waits for all.
func paced(ctx context.Context, start func(i int) error) error {
	var g errgroup.Group
	tick := time.NewTicker(racePace)
	defer tick.Stop()
	for i := range raceSlots {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), g.Wait())
		}
		g.Go(func() error { return start(i) })
	}
	return g.Wait()
}

// collide has the two propose different bytes for the same slots.
func (r *race) collide(ctx context.Context) error {
	slots, waits := make([]vstack.Slot, raceSlots), make([][2]time.Duration, raceSlots)
	for i := range slots {
		slots[i] = r.raced.Slot()
		waits[i] = [2]time.Duration{time.Duration(r.rng.Int64N(int64(raceJitter))), time.Duration(r.rng.Int64N(int64(raceJitter)))}
	}
	return paced(ctx, func(i int) error {
		var got [2]vstack.Value
		var lost [2]bool
		var g errgroup.Group
		for side, client := range []*quicclient.Client{r.owner, r.contender} {
			g.Go(func() (err error) {
				time.Sleep(waits[i][side]) // the jitter of the start line
				got[side], lost[side], err = r.propose(ctx, client, slots[i])
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if got[0] != got[1] || lost[0] == lost[1] {
			return fmt.Errorf("slot %s: %w: the owner learned %s (lost: %v), the contender %s (lost: %v)", slots[i], vstack.ErrInternal,
				got[0].Chunk.Short(), lost[0], got[1].Chunk.Short(), lost[1])
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.learned[slots[i]] = got[0]
		winner := 0
		if lost[0] {
			winner = 1
		}
		r.wins[winner]++
		r.told++
		return nil
	})
}

// propose asks for a slot until its fate is known: the value, and whether it is another's.
func (r *race) propose(ctx context.Context, client *quicclient.Client, slot vstack.Slot) (vstack.Value, bool, error) {
	data := rig.RandomChunk(raceChunk)
	var last error
	for range raceTries {
		got, err := client.Commit(ctx, r.raced.Upload, slot, data)
		var conflict *quicclient.ConflictError
		switch {
		case err == nil:
			return got.Value, false, nil
		case errors.As(err, &conflict):
			return conflict.Value, true, nil
		case !errors.Is(err, vstack.ErrNoQuorum):
			return vstack.Value{}, false, err
		}
		last = err
	}
	return vstack.Value{}, false, last
}

// keepApart is the load of collide without its conflicts.
func (r *race) keepApart(ctx context.Context) error {
	slots := make([][2]vstack.Slot, raceSlots)
	for i := range slots {
		slots[i] = [2]vstack.Slot{r.apart[0].Slot(), r.apart[1].Slot()}
	}
	return paced(ctx, func(i int) error {
		var g errgroup.Group
		for side, client := range []*quicclient.Client{r.owner, r.contender} {
			g.Go(func() error {
				_, err := client.Commit(ctx, r.apart[side].Upload, slots[i][side], rig.RandomChunk(raceChunk))
				return err
			})
		}
		return g.Wait()
	})
}

// rest is no load, for as long.
func (r *race) rest(ctx context.Context) error { return paced(ctx, func(int) error { return nil }) }

// check resumes the raced upload as somebody else and compares what the acceptors say is
// chosen with what both racers learned.
func (r *race) check(ctx context.Context) (agreed int, err error) {
	up, err := r.c.Meta.ResumeUpload(ctx, r.raced.ID, wire.ResumeUploadRequest{Owner: vstack.ProposerID(uuid.New())})
	if err != nil {
		return 0, err
	}
	chosen, err := r.bystander.Chosen(ctx, up)
	if err != nil {
		return 0, err
	}
	for slot, v := range r.learned {
		if chosen[slot] == v {
			agreed++
		}
	}
	return agreed, nil
}
