package datanode

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/datanode/superblock"
	"github.com/vstack/vstack/internal/soak"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/reconfigure"
	"github.com/vstack/vstack/metastore/redundancy"
)

// flippingEnv is the number of schedules that TestFilmsFlipThroughFaults runs.
const flippingEnv = "VSTACK_SOAK_FLIPS"

// flipping is a schedule over a joint cluster: films come and go, are watched and forgotten,
// and flip between copies and fragments while stores are replaced, restarted, cut off and
// rotten. All that is drawn comes from the seed.
type flipping struct {
	*joint
	rnd    *rand.Rand
	films  map[byte]map[vstack.ChunkID]vstack.Value
	gone   []map[vstack.ChunkID]vstack.Value // of deleted films
	next   byte
	policy vstack.RedundancyPolicy
	silent map[*jointStore]time.Time // until when it sends nothing
	// lost is when a piece was lost last; until a survey and a heartbeat later nobody knows.
	lost  time.Time
	moved bool // a store was replaced: one is enough for the spares

	steps, checks, told, losses int
	were                        map[vstack.VideoID]vstack.StorageClass
}

func newFlipping(t *testing.T, seed uint64) *flipping {
	f := &flipping{joint: newJoint(t, 7, 6), rnd: rand.New(rand.NewPCG(seed, 17)), films: map[byte]map[vstack.ChunkID]vstack.Value{},
		silent: map[*jointStore]time.Time{}, were: map[vstack.VideoID]vstack.StorageClass{}}
	f.policy, _ = f.leader.View().Redundancy()
	f.policy.MinAge, f.policy.Dwell, f.policy.BytesADay = 0, 5, 0
	f.commit(command.SetRedundancy, command.SetRedundancyPayload{Policy: &f.policy})
	for range 3 {
		f.film()
	}
	return f
}

// film publishes one more.
func (f *flipping) film() {
	f.next++
	f.publish(f.next, 2+f.rnd.IntN(5))
	f.films[f.next] = f.values(f.next)
}

func (f *flipping) any() byte {
	ids := slices.Sorted(maps.Keys(f.films))
	return ids[f.rnd.IntN(len(ids))]
}

// event is one thing that happens.
func (f *flipping) event() {
	switch n := f.rnd.IntN(100); {
	case n < 25: // watched
		f.commit(command.AddViews, command.AddViewsPayload{Views: []command.VideoViews{{Video: vstack.VideoID{f.any()}, Count: int64(f.rnd.IntN(2500) + 1)}}})
	case n < 55: // forgotten
		from, at := f.leader.View().Aged()
		f.commit(command.AgeViews, command.AgeViewsPayload{From: from, Steps: uint32(f.rnd.IntN(12) + 1), At: at.Add(time.Second)})
	case n < 62:
		f.pin(f.any(), []vstack.ClassPolicy{vstack.PolicyHot, vstack.PolicyCold, vstack.PolicyAuto, vstack.PolicyAuto}[f.rnd.IntN(4)])
	case n < 65 && len(f.films) < 6:
		f.film()
	case n < 67 && len(f.films) > 2:
		n := f.any()
		f.commit(command.DeleteVideo, command.DeleteVideoPayload{Video: vstack.VideoID{n}})
		f.gone = append(f.gone, f.films[n])
		delete(f.films, n)
	case n < 72: // peers give nothing for a while
		f.closed = time.Now().Add(time.Duration(f.rnd.IntN(8)) * time.Second)
	case n < 78: // the leader hears nothing of a store
		f.silent[f.stores[f.rnd.IntN(len(f.stores))]] = time.Now().Add(time.Duration(f.rnd.IntN(14)) * time.Second)
	case n < 82: // the leader forgets what it heard, as a new one would
		f.monitor.Forget()
	case n < 86: // rot of a copy
		s, of := f.stores[f.rnd.IntN(len(f.stores))], f.films[f.any()]
		for id := range of {
			if s.has(id) {
				s.loop.Corrupt(id)
				break
			}
		}
	case n < 91:
		f.lose()
	case n < 93:
		paused := f.rnd.IntN(2) == 0
		f.commit(command.SetRedundancy, command.SetRedundancyPayload{Paused: &paused})
	case n < 95 && !f.moved:
		f.moved = true
		f.commit(command.SetLeaving, command.SetLeavingPayload{Stores: []command.StoreLeave{{ID: f.stores[0].disk.ID(), Why: vstack.LeaveOrdered, With: f.stores[6].disk.ID()}}})
	}
}

// knownAfter is how long after a loss the leader knows of it.
const knownAfter = 5 * time.Second

// lose takes what one store has of a chunk of a film that is said to bear it, and keeps it from
// being brought for so long that the figures of then are looked at.
func (f *flipping) lose() {
	if time.Since(f.lost) < 30*time.Second {
		return
	}
	n := f.any()
	m, _, err := f.leader.View().Manifest(vstack.VideoID{n})
	if err != nil {
		f.t.Fatal(err)
	}
	v, err := f.leader.View().Video(m.Video)
	if err != nil || f.judge().Video(v, m).Stores < 1 {
		return
	}
	for id := range f.films[n] {
		for _, s := range f.stores {
			for _, p := range s.disk.Pieces(id) {
				rec := superblock.Record{Kind: superblock.KindDrop, Value: vstack.Value{Chunk: id}}
				if !p.Piece.IsChunk() {
					rec.Kind, rec.Piece = superblock.KindDropFragment, p.Piece
				}
				if _, err := s.disk.Append(f.t.Context(), rec); err != nil {
					f.t.Fatal(err)
				}
				f.lost = time.Now()
			}
			if f.lost.Equal(time.Now()) { // the bubble's clock stands
				f.closed = f.lost.Add(3 * knownAfter)
				f.losses++
				return
			}
		}
	}
}

// judge answers what the leader would say that videos bear.
func (f *flipping) judge() *redundancy.Judge {
	s := f.state()
	return redundancy.NewJudge(redundancy.State{Map: s.Map, Claim: reconfigure.NewWholes(s).Claim, Floor: f.leader.View().ClassFloor()})
}

// check wants every film readable from what lies on disks, and as many stores to spare as the
// leader says, chosen worst: whichever they are.
func (f *flipping) check() {
	f.t.Helper()
	view := f.leader.View()
	judge := f.judge()
	f.checks++
	for n, of := range f.films {
		v, err := view.Video(vstack.VideoID{n})
		if err != nil {
			f.t.Fatal(err)
		}
		if f.were[v.ID] != v.Class {
			f.were[v.ID] = v.Class
			f.steps++
		}
		f.readable(v, of)
		m, _, err := view.Manifest(v.ID)
		if err != nil {
			f.t.Fatal(err)
		}
		if bears := judge.Video(v, m); bears.Stores > 0 && time.Since(f.lost) > knownAfter {
			f.told++
			for i, a := range f.stores {
				f.readable(v, of, a)
				for k := 0; k < i && bears.Stores > 1; k++ {
					f.readable(v, of, a, f.stores[k])
				}
			}
		}
	}
}

func (f *flipping) readable(v vstack.Video, of map[vstack.ChunkID]vstack.Value, without ...*jointStore) {
	f.t.Helper()
	for id, value := range of {
		b, err := f.read(f.t.Context(), value, func(s *jointStore) bool { return !slices.Contains(without, s) })
		if err != nil || vstack.ChunkIDOf(b) != id {
			f.t.Fatalf("film %d, %s of %d: chunk %s of group %d without %d stores: %d bytes, %v", v.ID[0], v.Class, v.ClassIndex, id.Short(), f.chunks[id].PG(), len(without), len(b), err)
		}
	}
}

// tick is a quarter of a second.
func (f *flipping) tick(n int, quiet bool) {
	time.Sleep(250 * time.Millisecond) // of the bubble's clock
	synctest.Wait()
	if !quiet && n%4 == 0 {
		f.event()
	}
	if n%4 == 2 {
		for _, s := range f.stores {
			if time.Now().After(f.silent[s]) {
				s.beat()
			}
		}
	}
	view := f.leader.View()
	f.joint.classes.Wish(view, redundancy.Wish(f.policy, time.Now(), view.Published()).To)
	f.lead()
	if n%3 == 0 {
		synctest.Wait()
		f.check()
	}
}

// settled reports whether every film is hot or cold and exactly what its class asks for is held.
func (f *flipping) settled() error {
	for n, of := range f.films {
		copies, fragments, _ := f.held(of)
		switch class := f.class(n); {
		case class == vstack.ClassHot && copies == 3*len(of) && fragments == 0:
		case class == vstack.ClassCold && copies == 0 && fragments == 5*len(of):
		default:
			return fmt.Errorf("film %d is %s and has %d copies and %d fragments of %d chunks", n, class, copies, fragments, len(of))
		}
	}
	for _, of := range f.gone {
		if copies, fragments, _ := f.held(of); copies+fragments > 0 {
			return fmt.Errorf("of a deleted film %d copies and %d fragments are left", copies, fragments)
		}
	}
	return nil
}

// run is one schedule: some minutes of faults, then quiet until all has settled.
func (f *flipping) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, s := range f.stores {
		wg.Go(func() { _ = s.follower.Run(ctx) })
		wg.Go(func() { _ = s.loop.Run(ctx) })
	}
	n := 0
	for ; n < 4*90; n++ {
		f.tick(n, false)
	}
	no := false
	f.commit(command.SetRedundancy, command.SetRedundancyPayload{Paused: &no})
	f.closed = time.Time{}
	clear(f.silent)
	for end := n + 4*180; n < end; n++ {
		if f.tick(n, true); n%8 == 0 && f.settled() == nil {
			return
		}
	}
	f.t.Errorf("after three quiet minutes: %v", f.settled())
}

// TestFilmsFlipThroughFaults runs the real planner, catalog, followers and converge loops over
// several films and groups, by seed: no film is ever unreadable, no figure flatters, and all
// settles without an orphan.
func TestFilmsFlipThroughFaults(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv(flippingEnv))
	if err != nil {
		count = 1
	}
	var steps, checks, told, losses int64
	for seed := range uint64(count) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlipping(t, seed)
				defer func() {
					for _, s := range f.stores {
						_ = s.follower.Close()
						_ = s.disk.Close()
					}
				}()
				f.run()
				steps, checks, told, losses = steps+int64(f.steps), checks+int64(f.checks), told+int64(f.told), losses+int64(f.losses)
			})
		})
	}
	t.Logf("%d schedules: %d steps of classes, %d pieces lost, %d checks, %d figures held to the disks", count, steps, losses, checks, told)
	if steps < int64(4*count) || told < int64(100*count) {
		t.Errorf("too little happened: %d steps, %d figures", steps, told)
	}
	soak.Add(t, map[string]int64{"flips: schedules": int64(count), "flips: steps of classes": steps, "flips: pieces lost": losses, "flips: checks": checks, "flips: figures held to the disks": told, "flips: unreadable": 0, "flips: orphans": 0})
}
