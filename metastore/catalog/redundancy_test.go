package catalog

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
)

func (d *driver) view(n int, count int64) {
	d.must(command.AddViews, command.AddViewsPayload{Views: []command.VideoViews{{Video: video(n), Count: count}}})
}

// age lets steps pass after those that the catalog knows.
func (d *driver) age(steps uint32) {
	from, at := d.c.View().Aged()
	d.must(command.AgeViews, command.AgeViewsPayload{From: from, Steps: steps, At: at.Add(time.Second)})
}

func (d *driver) popular(n int) int64 {
	d.t.Helper()
	v, err := d.c.View().Video(video(n))
	if err != nil {
		d.t.Fatal(err)
	}
	return v.Popularity
}

// TestViewsDecay: by half in eight steps, whenever they came; the count of views stays.
func TestViewsDecay(t *testing.T) {
	d := placed(t)
	d.publish(1, 1)
	d.publish(2, 1)
	d.view(1, 800)
	if got := d.popular(1); got != 0 {
		t.Errorf("below the level the popularity is %d", got)
	}
	d.raise(vstack.LevelPolicy)
	if got := d.popular(1); got != 800 {
		t.Errorf("views from before the level count %d, want all 800", got)
	}
	d.age(8)
	if got := d.popular(1); got < 399 || got > 400 {
		t.Errorf("after a half-life %d of 800 count", got)
	}
	d.view(1, 100)
	d.view(2, 100)
	if a, b := d.popular(1), d.popular(2); a < 499 || a > 500 || b != 100 {
		t.Errorf("%d and %d, want 500 and 100", a, b)
	}
	d.age(3)
	d.age(5)
	if a, b := d.popular(1), d.popular(2); a < 248 || a > 250 || b < 49 || b > 50 {
		t.Errorf("%d and %d, want 250 and 50", a, b)
	}
	if v, _ := d.c.View().Video(video(1)); v.Views != 900 {
		t.Errorf("%d views in all, want 900", v.Views)
	}
	seen := map[vstack.VideoID]int64{}
	for v := range d.c.View().Published() {
		seen[v.ID] = v.Popularity
	}
	if len(seen) != 2 || seen[video(1)] != d.popular(1) {
		t.Errorf("walked %v", seen)
	}
}

// TestARepeatedStepOfDecayChangesNothing: one that was decided upon an older count, as by a
// leader whose answer was lost, and one whose clock is behind.
func TestARepeatedStepOfDecayChangesNothing(t *testing.T) {
	d := placed(t)
	d.raise(vstack.LevelPolicy)
	at := time.Unix(1000, 0).UTC()
	for range 3 {
		d.must(command.AgeViews, command.AgeViewsPayload{From: 0, Steps: 4, At: at})
	}
	d.must(command.AgeViews, command.AgeViewsPayload{From: 4, Steps: 4, At: at.Add(-time.Second)})
	if steps, when := d.c.View().Aged(); steps != 4 || !when.Equal(at) {
		t.Errorf("%d steps until %v", steps, when)
	}
}

// TestABatchOfViewsCountsOnceForPopularity, too.
func TestABatchOfViewsCountsOnceForPopularity(t *testing.T) {
	d := placed(t)
	d.raise(vstack.LevelPolicy)
	d.publish(1, 1)
	batch := command.AddViewsPayload{Views: []command.VideoViews{{Video: video(1), Count: 70}}, Source: wire.ViewsSource{Run: [16]byte{1}, Seq: 1}}
	for range 3 {
		d.must(command.AddViews, batch)
	}
	if got := d.popular(1); got != 70 {
		t.Errorf("%d views count, want 70", got)
	}
}

func TestThePolicyOfRedundancy(t *testing.T) {
	d := placed(t)
	yes := true
	for _, p := range []struct {
		typ     command.Type
		payload any
	}{
		{command.SetRedundancy, command.SetRedundancyPayload{Paused: &yes}},
		{command.AgeViews, command.AgeViewsPayload{Steps: 1, At: time.Unix(1, 0)}},
	} {
		if r := d.do(p.typ, p.payload, ""); !errors.Is(r.Err(), vstack.ErrInvalid) {
			t.Errorf("%s below the level: %v", p.typ, r.Err())
		}
	}
	if p, paused := d.c.View().Redundancy(); p != vstack.DefaultRedundancy || paused {
		t.Errorf("a cluster that was given none has %+v, %v", p, paused)
	}
	d.raise(vstack.LevelPolicy)
	next := vstack.DefaultRedundancy
	next.CoolBelow, next.Layout.Head = 7, 9
	d.must(command.SetRedundancy, command.SetRedundancyPayload{Policy: &next})
	d.must(command.SetRedundancy, command.SetRedundancyPayload{Paused: &yes})
	if p, paused := d.c.View().Redundancy(); p != next || !paused {
		t.Errorf("%+v, %v", p, paused)
	}
	bad := next
	bad.WarmAbove = 6
	if r := d.do(command.SetRedundancy, command.SetRedundancyPayload{Policy: &bad}, ""); !errors.Is(r.Err(), vstack.ErrInvalid) {
		t.Errorf("warm above less than cool below: %v", r.Err())
	}
	d.publish(1, 1)
	d.view(1, 5)
	d.age(2)
	restored := newCatalog(t)
	if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
		t.Fatal(err)
	}
	if p, paused := restored.View().Redundancy(); p != next || !paused || checksum(t, restored) != checksum(t, d.c) {
		t.Errorf("restored %+v, %v", p, paused)
	}
	if steps, _ := restored.View().Aged(); steps != 2 {
		t.Errorf("restored %d steps", steps)
	}
	if v, _ := restored.View().Video(video(1)); v.Popularity != d.popular(1) || v.Popularity == 0 {
		t.Errorf("restored popularity %d", v.Popularity)
	}
}

// TestAWideSchemeWidensGroups from its level on: each may then have a target for each fragment,
// and a later policy takes none away.
func TestAWideSchemeWidensGroups(t *testing.T) {
	six := preparation(0, 1, 0, 0, 1, 2, 3, 4, 5)
	wide := vstack.DefaultRedundancy
	wide.Layout.Scheme = vstack.Scheme{K: 4, M: 2}
	for level, want := range map[vstack.Level]int{vstack.LevelManifests - 1: vstack.Targets, vstack.LevelManifests: 6} {
		d := placedOn(t, 6)
		d.raise(level)
		d.publish(1, 1)
		was := d.c.View().PlacementVersion()
		d.must(command.SetRedundancy, command.SetRedundancyPayload{Policy: &wide})
		m := d.c.View().Placement()
		if wider := want > vstack.Targets; m.TargetCount() != want || (m.Version > was) != wider || (d.c.View().Balance() == vstack.BalanceRunning) != wider {
			t.Errorf("level %d: %d targets at version %d after %d, balance %q", level, m.TargetCount(), m.Version, was, d.c.View().Balance())
		}
		if want == vstack.Targets {
			d.refused(vstack.ErrInvalid, command.PrepareEpochs, prepare(six))
			continue
		}
		d.must(command.PrepareEpochs, prepare(six))
		d.must(command.ActivateEpochs, activate(change(0, 2, 1)))
		g := d.group(0)
		for i := range g.Targets {
			if len(g.Targets) != 6 || g.Fragment(i) != vstack.FragmentNumber(i) {
				t.Fatalf("widened: %+v", g)
			}
		}
		sum := checksum(t, d.c)
		d.must(command.SetRedundancy, command.SetRedundancyPayload{Policy: &vstack.DefaultRedundancy})
		if n := d.c.View().Placement().TargetCount(); n != 6 {
			t.Errorf("%d targets after a narrower scheme", n)
		}
		if checksum(t, d.c) == sum {
			t.Error("the checksum does not see the policy")
		}
		restored := newCatalog(t)
		if err := restored.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil {
			t.Fatal(err)
		}
		if n := restored.View().Placement().TargetCount(); n != 6 || checksum(t, restored) != checksum(t, d.c) {
			t.Errorf("%d targets after a restore", n)
		}
	}
}

// TestAStepOfAClassSaysSinceWhen from the level on that keeps it.
func TestAStepOfAClassSaysSinceWhen(t *testing.T) {
	for level, want := range map[vstack.Level]bool{vstack.LevelFragments: false, vstack.LevelPolicy: true} {
		d := placedOn(t, 5)
		d.raise(level)
		d.publish(1, 1)
		v, _ := d.c.View().Video(video(1))
		d.must(command.StepClass, command.StepClassPayload{Video: video(1), From: vstack.ClassHot, Index: v.ClassIndex, To: vstack.ClassCooling, Layout: vstack.DefaultLayout})
		before := max(v.ClassIndex, d.c.View().ClassFloor())
		if v, _ = d.c.View().Video(video(1)); v.ClassSince.IsZero() == want || (v.ClassBefore == before) != want {
			t.Errorf("level %d: since %v, before %d", level, v.ClassSince, v.ClassBefore)
		}
	}
}
