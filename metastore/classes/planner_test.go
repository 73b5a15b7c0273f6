package classes

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// world is a catalog, what its stores claim, and a leader.
type world struct {
	t       *testing.T
	c       *catalog.Catalog
	index   uint64
	whole   uint64 // of every group
	free    map[vstack.StoreID]int64
	planner *Planner
}

// newWorld has so many hosts of one store each, and films that are published.
func newWorld(t *testing.T, stores, films int) *world {
	w := &world{t: t}
	var err error
	w.c, err = catalog.New(catalog.Config{Fatal: func(err error) { t.Fatal(err) }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var ids []vstack.StoreID
	for n := range stores {
		ids = append(ids, vstack.StoreID{byte(n + 1)})
		w.must(command.RegisterStores, command.RegisterStoresPayload{Host: vstack.HostID(fmt.Sprintf("h%d", n)), Stores: []command.StoreRegistration{{ID: ids[n], Addr: "127.0.0.1:1", Capacity: 1}}})
	}
	groups := make([][]vstack.StoreID, vstack.PlacementGroups)
	for pg := range groups {
		groups[pg] = ids[:min(stores, vstack.Targets)]
	}
	w.must(command.AssignPlacement, command.AssignPlacementPayload{Base: w.index, Groups: groups, Cluster: vstack.ClusterID{1}})
	w.must(command.RaiseLevel, command.RaiseLevelPayload{Level: vstack.LevelPolicy})
	policy := vstack.DefaultRedundancy
	policy.Layout = vstack.Layout{Scheme: vstack.DefaultScheme} // without a hot head
	w.must(command.SetRedundancy, command.SetRedundancyPayload{Policy: &policy})
	for n := range films {
		up := w.must(command.OpenUpload, command.OpenUploadPayload{Upload: vstack.UploadID{byte(n + 1)}, Video: film(n), Title: "film", Policy: vstack.PolicyAuto, Owner: vstack.ProposerID{1}}).Upload
		w.must(command.Publish, command.PublishPayload{Upload: up.ID, Incarnation: up.Incarnation, Manifest: &vstack.Manifest{Version: 1, Video: film(n), Duration: 1, Tracks: []vstack.Track{{
			Number: 1, Kind: vstack.TrackVideo, Codec: "avc1.640028", Timescale: 1000, Init: vstack.ChunkRef{ID: vstack.ChunkID{9}, Size: 9},
			Chunks: []vstack.ChunkRef{{Seq: 1, ID: vstack.ChunkID{byte(n), 1}, Size: 1 << 20, Duration: 1000, Keyframe: true}}}}}})
	}
	w.lead()
	return w
}

func film(n int) vstack.VideoID { return vstack.VideoID{3, byte(n + 1)} }

// lead begins a leader's term: it remembers nothing.
func (w *world) lead() {
	w.planner = New(Config{Window: 2})
}

func (w *world) do(typ command.Type, payload any) *command.Result {
	w.index++
	b, err := command.Encode(typ, payload, "", time.Unix(1, 0))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.c.Apply(&raft.Log{Index: w.index, Type: raft.LogCommand, Data: b}).(*command.Result)
}

func (w *world) must(typ command.Type, payload any) *command.Result {
	w.t.Helper()
	r := w.do(typ, payload)
	if r.Err() != nil {
		w.t.Fatal(r.Err())
	}
	return r
}

func (w *world) pin(n int, p vstack.ClassPolicy) {
	w.must(command.SetPolicy, command.SetPolicyPayload{Video: film(n), Policy: p})
}

// look is one decision; what is decided is committed.
func (w *world) look() Decision {
	w.t.Helper()
	view := w.c.View()
	w.planner.Look(view)
	s := State{Map: view.Placement(), Floor: view.ClassFloor(), Whole: func(vstack.PG) uint64 { return w.whole }}
	if w.free != nil {
		s.Free = func(id vstack.StoreID) (int64, bool) { n, heard := w.free[id]; return n, heard }
	}
	d := w.planner.Decide(s)
	for _, s := range d.Steps {
		w.must(command.StepClass, s)
	}
	return d
}

func (w *world) class(n int) vstack.StorageClass {
	v, err := w.c.View().Video(film(n))
	if err != nil {
		w.t.Fatal(err)
	}
	return v.Class
}

func (w *world) wants(n int, want vstack.StorageClass) {
	w.t.Helper()
	if got := w.class(n); got != want {
		w.t.Fatalf("film %d is %s, want %s", n, got, want)
	}
}

func TestATransitionEndsOnceItsGroupsAreWhole(t *testing.T) {
	w := newWorld(t, 5, 1)
	if d := w.look(); len(d.Steps) != 0 || !w.planner.Idle() {
		t.Fatalf("nobody asked for anything: %+v", d)
	}
	w.pin(0, vstack.PolicyCold)
	w.look()
	w.wants(0, vstack.ClassCooling)
	at := w.index
	w.whole = at - 1
	if d := w.look(); len(d.Steps) != 0 || len(d.Held) != 1 || d.Held[0].Groups == 0 || d.Moving != 1 {
		t.Fatalf("a store lacks a fragment: %+v", d)
	}
	w.lead() // a new leader goes on where the catalog is
	w.look()
	w.wants(0, vstack.ClassCooling)
	w.whole = at
	w.look()
	w.wants(0, vstack.ClassCold)
	w.look()
	if !w.planner.Idle() {
		t.Error("it is cold, and still looked at")
	}
	w.pin(0, vstack.PolicyHot)
	w.look()
	w.wants(0, vstack.ClassWarming)
	w.look()
	w.wants(0, vstack.ClassWarming)
	w.whole = w.index
	w.look()
	w.wants(0, vstack.ClassHot)
}

func TestAChangeOfMindGoesBackAtOnce(t *testing.T) {
	w := newWorld(t, 5, 1)
	w.pin(0, vstack.PolicyCold)
	w.look()
	w.pin(0, vstack.PolicyHot)
	w.look()
	w.wants(0, vstack.ClassHot)
	w.pin(0, vstack.PolicyCold)
	w.look()
	w.pin(0, vstack.PolicyAuto) // what is under way ends
	w.look()
	w.wants(0, vstack.ClassCooling)
	w.whole = w.index
	w.look()
	w.wants(0, vstack.ClassCold)
	w.look()
	w.wants(0, vstack.ClassCold) // and stays
	w.pin(0, vstack.PolicyHot)
	w.look()
	w.pin(0, vstack.PolicyCold)
	w.whole = 0
	w.look()
	w.wants(0, vstack.ClassCold)
}

func TestNoMoreThanAWindowMovesAtOnce(t *testing.T) {
	w := newWorld(t, 5, 5)
	for n := range 5 {
		w.pin(n, vstack.PolicyCold)
	}
	for range 3 {
		if d := w.look(); d.Moving > 2 || len(d.Held) < 3 {
			t.Fatalf("%+v", d)
		}
	}
	for range 20 {
		w.whole = w.index
		w.look()
	}
	for n := range 5 {
		w.wants(n, vstack.ClassCold)
	}
}

func TestAVideoThatItsGroupsCannotBearIsHeldAndTold(t *testing.T) {
	w := newWorld(t, 4, 1)
	w.pin(0, vstack.PolicyCold)
	d := w.look()
	if len(d.Steps) != 0 || len(d.Held) != 1 || !errors.Is(d.Held[0].Err, vstack.ErrTooFewTargets) {
		t.Fatalf("%+v", d)
	}
	w.must(command.SetPolicy, command.SetPolicyPayload{Video: film(0), Policy: vstack.PolicyCold, Layout: vstack.Layout{Scheme: vstack.Scheme{K: 2, M: 2}}})
	w.look()
	w.wants(0, vstack.ClassCooling)
	w.must(command.DeleteVideo, command.DeleteVideoPayload{Video: film(0)})
	w.look()
	if !w.planner.Idle() {
		t.Error("a deleted video is still looked at")
	}
}

// TestStepsOfTwoLeadersDoNotMix: one decides upon what the other has changed since.
func TestStepsOfTwoLeadersDoNotMix(t *testing.T) {
	w := newWorld(t, 5, 1)
	w.pin(0, vstack.PolicyCold)
	old := New(Config{Window: 2})
	view := w.c.View()
	old.Look(view)
	state := State{Map: view.Placement(), Whole: func(vstack.PG) uint64 { return 1 << 40 }}
	late := old.Decide(state).Steps
	w.look()
	w.whole = w.index
	w.look()
	w.wants(0, vstack.ClassCold)
	for _, s := range slices.Concat(late, late) {
		if r := w.do(command.StepClass, s); !errors.Is(r.Err(), vstack.ErrClassStale) {
			t.Errorf("a late step: %v", r.Err())
		}
	}
	w.wants(0, vstack.ClassCold)
}

// TestVideosCoolAsThereIsRoom: with room for one film at a time all of them cool, one after
// the other; with more they go side by side; without room for any they wait, and say for which
// store.
func TestVideosCoolAsThereIsRoom(t *testing.T) {
	const films, size, fragment = 6, 1 << 20, 1<<20/3 + 1
	w := newWorld(t, 5, films)
	w.planner = New(Config{Window: films + 1})
	cooled := func(room int64, at int) (most int) {
		w.free = map[vstack.StoreID]int64{}
		for n := range 5 {
			w.free[vstack.StoreID{byte(n + 1)}] = room
		}
		for range 8 * films {
			d := w.look()
			most = max(most, d.Moving)
			for _, h := range d.Held {
				if h.Err != nil && !errors.Is(h.Err, vstack.ErrDiskFull) {
					t.Fatal(h.Err)
				}
			}
			w.whole = w.index
		}
		for n := range films {
			w.wants(n, []vstack.StorageClass{vstack.ClassHot, vstack.ClassCold}[at])
		}
		return most
	}
	for n := range films {
		w.pin(n, vstack.PolicyCold)
	}
	if most := cooled(fragment-2, 0); most != 0 {
		t.Errorf("%d moved without room for one", most)
	}
	if most := cooled(fragment*3/2, 1); most != 1 {
		t.Errorf("%d moved at once with room for one", most)
	}
	for n := range films {
		w.pin(n, vstack.PolicyHot)
	}
	if most := cooled(fragment*3/2, 1); most != 0 { // a copy takes three times as much
		t.Errorf("%d warmed without room for a copy", most)
	}
	if most := cooled(3*size, 0); most != 3 {
		t.Errorf("%d warmed at once with room for three", most)
	}
	w.pin(0, vstack.PolicyCold)
	delete(w.free, vstack.StoreID{5})
	if d := w.look(); len(d.Steps) != 0 || len(d.Held) != 1 || !errors.Is(d.Held[0].Err, vstack.ErrDiskFull) {
		t.Errorf("a target is not heard: %+v", d)
	}
}

// TestPopularityMovesVideosWhosePolicyLeavesItOpen: a wish begins a move, another one turns it
// round, and a pin overrides both. What is wished no more ends what is under way.
func TestPopularityMovesVideosWhosePolicyLeavesItOpen(t *testing.T) {
	w := newWorld(t, 5, 2)
	wish := func(to ...vstack.StorageClass) {
		wishes := map[vstack.VideoID]vstack.StorageClass{}
		for n, class := range to {
			if class != "" {
				wishes[film(n)] = class
			}
		}
		w.planner.Wish(w.c.View(), wishes)
	}
	w.pin(1, vstack.PolicyHot)
	w.look()
	wish(vstack.ClassCold, vstack.ClassCold)
	w.look()
	w.wants(0, vstack.ClassCooling)
	w.wants(1, vstack.ClassHot)
	wish()
	w.look()
	w.wants(0, vstack.ClassCooling)
	wish(vstack.ClassHot)
	w.look()
	w.wants(0, vstack.ClassHot)
	wish(vstack.ClassCold)
	w.look()
	w.whole = w.index
	w.look()
	w.wants(0, vstack.ClassCold)
	w.look()
	if !w.planner.Idle() {
		t.Error("it is where it is wished, and still looked at")
	}
	wish(vstack.ClassHot)
	w.look()
	w.wants(0, vstack.ClassWarming)
	w.must(command.DeleteVideo, command.DeleteVideoPayload{Video: film(0)})
	wish(vstack.ClassHot)
	w.look()
	if !w.planner.Idle() {
		t.Error("a deleted video is still looked at")
	}
}

// TestAPauseTakesNoStepButBack.
func TestAPauseTakesNoStepButBack(t *testing.T) {
	w := newWorld(t, 5, 2)
	paused := func(yes bool) {
		w.must(command.SetRedundancy, command.SetRedundancyPayload{Paused: &yes})
	}
	w.pin(0, vstack.PolicyCold)
	w.look()
	paused(true)
	w.pin(1, vstack.PolicyCold)
	w.whole = w.index
	d := w.look()
	w.wants(0, vstack.ClassCooling)
	w.wants(1, vstack.ClassHot)
	if len(d.Held) != 2 || !d.Held[0].Paused || !d.Held[1].Paused || d.Held[0].Why() != "moves are paused" {
		t.Errorf("%+v", d)
	}
	w.pin(0, vstack.PolicyHot)
	w.look()
	w.wants(0, vstack.ClassHot)
	paused(false)
	w.look()
	w.wants(1, vstack.ClassCooling)
}
