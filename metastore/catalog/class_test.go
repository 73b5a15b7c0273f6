package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/command"
)

// classy is a catalog at the level of fragments, over five stores, with a published video 1.
func classy(t testing.TB) *driver {
	t.Helper()
	d := placedOn(t, 5)
	d.raise(vstack.LevelFragments)
	d.publish(1, 2)
	return d
}

// layout is one that keeps nothing hot but init chunks.
var layout = vstack.Layout{Scheme: vstack.DefaultScheme}

func (d *driver) classOf(n int) vstack.Video {
	d.t.Helper()
	v, err := d.c.View().Video(video(n))
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// step is one step from what the catalog has.
func (d *driver) step(n int, to vstack.StorageClass) command.StepClassPayload {
	v := d.classOf(n)
	p := command.StepClassPayload{Video: v.ID, From: v.Class, Index: v.ClassIndex, To: to}
	if v.Class == vstack.ClassHot {
		p.Layout, p.HostsCanFail = layout, 1
	}
	return p
}

func TestAClassChangesStepByStep(t *testing.T) {
	d := classy(t)
	published := d.classOf(1)
	if published.ClassIndex == 0 || published.Class != vstack.ClassHot {
		t.Fatalf("published as %+v", published)
	}
	for _, to := range []vstack.StorageClass{vstack.ClassCooling, vstack.ClassHot, vstack.ClassCooling, vstack.ClassCold, vstack.ClassWarming, vstack.ClassCold, vstack.ClassWarming, vstack.ClassHot} {
		res := d.must(command.StepClass, d.step(1, to))
		v := d.classOf(1)
		if v.Class != to || v.ClassIndex != d.index || v.Index != d.index || res.Video == nil || res.Video.Class != to {
			t.Fatalf("a step to %s left %+v", to, v)
		}
		if want := to != vstack.ClassHot; v.Layout.IsZero() == want {
			t.Errorf("in %s the layout is %+v", to, v.Layout)
		}
	}
}

func TestAStepIsTakenOnlyFromWhatItWasDecidedUpon(t *testing.T) {
	d := classy(t)
	stale := d.step(1, vstack.ClassCooling)
	d.must(command.StepClass, stale)
	for name, tc := range map[string]struct {
		p    command.StepClassPayload
		want error
	}{
		"again":                     {stale, vstack.ErrClassStale},
		"from another index":        {func() command.StepClassPayload { p := d.step(1, vstack.ClassCold); p.Index--; return p }(), vstack.ErrClassStale},
		"from another class":        {command.StepClassPayload{Video: video(1), From: vstack.ClassWarming, Index: d.classOf(1).ClassIndex, To: vstack.ClassHot}, vstack.ErrClassStale},
		"no step":                   {func() command.StepClassPayload { p := d.step(1, vstack.ClassWarming); return p }(), vstack.ErrInvalid},
		"a layout on the way":       {func() command.StepClassPayload { p := d.step(1, vstack.ClassCold); p.Layout = layout; return p }(), vstack.ErrInvalid},
		"a video that never was":    {command.StepClassPayload{Video: video(9), From: vstack.ClassCooling, To: vstack.ClassCold}, vstack.ErrNotFound},
		"a scheme that there isn't": {command.StepClassPayload{Video: video(1), From: vstack.ClassHot, To: vstack.ClassCooling}, vstack.ErrInvalid},
	} {
		before := d.classOf(1)
		if r := d.do(command.StepClass, tc.p, ""); !errors.Is(r.Err(), tc.want) {
			t.Errorf("%s: %v, want %v", name, r.Err(), tc.want)
		}
		if after := d.classOf(1); after != before {
			t.Errorf("%s: it left %+v", name, after)
		}
	}
	// Titles, views and policies touch no ClassIndex.
	at := d.classOf(1).ClassIndex
	d.must(command.SetPolicy, command.SetPolicyPayload{Video: video(1), Policy: vstack.PolicyCold})
	if got := d.classOf(1).ClassIndex; got != at {
		t.Errorf("a policy moved the ClassIndex from %d to %d", at, got)
	}
	d.must(command.DeleteVideo, command.DeleteVideoPayload{Video: video(1)})
	if r := d.do(command.StepClass, d.step(1, vstack.ClassCold), ""); !errors.Is(r.Err(), vstack.ErrNotFound) {
		t.Errorf("a deleted video: %v", r.Err())
	}
}

func TestAVideoThatItsGroupsCannotBearStaysHot(t *testing.T) {
	d := placed(t) // three stores
	d.raise(vstack.LevelFragments)
	d.publish(1, 2)
	r := d.do(command.StepClass, d.step(1, vstack.ClassCooling), "")
	if !errors.Is(r.Err(), vstack.ErrTooFewTargets) || !strings.Contains(r.Detail, "3+2 has 5 fragments, 3 of its 3 targets") {
		t.Errorf("%v", r.Err())
	}
	if v := d.classOf(1); v.Class != vstack.ClassHot || !v.Layout.IsZero() {
		t.Errorf("it is %+v", v)
	}
}

func TestALayoutIsAskedForWhileHotAndKept(t *testing.T) {
	d := classy(t)
	asked := vstack.Layout{Scheme: vstack.Scheme{K: 2, M: 2}, Head: 7, Small: 99}
	d.must(command.SetPolicy, command.SetPolicyPayload{Video: video(1), Policy: vstack.PolicyCold, Layout: asked})
	d.must(command.StepClass, d.step(1, vstack.ClassCooling))
	if got := d.classOf(1).Layout; got != asked {
		t.Errorf("it cools in %+v", got)
	}
	if r := d.do(command.SetPolicy, command.SetPolicyPayload{Video: video(1), Policy: vstack.PolicyCold, Layout: layout}, ""); !errors.Is(r.Err(), vstack.ErrClassStale) {
		t.Errorf("another layout on the way: %v", r.Err())
	}
	d.must(command.SetPolicy, command.SetPolicyPayload{Video: video(1), Policy: vstack.PolicyHot, Layout: asked}) // the same is none
}

// TestBelowTheLevelThereAreNoClasses: a member of the level before would halt at the command.
func TestBelowTheLevelThereAreNoClasses(t *testing.T) {
	d := placedOn(t, 5)
	d.raise(vstack.LevelFormats)
	d.publish(1, 2)
	if r := d.do(command.StepClass, d.step(1, vstack.ClassCooling), ""); !errors.Is(r.Err(), vstack.ErrInvalid) {
		t.Errorf("a step: %v", r.Err())
	}
	if r := d.do(command.SetPolicy, command.SetPolicyPayload{Video: video(1), Policy: vstack.PolicyCold, Layout: layout}, ""); !errors.Is(r.Err(), vstack.ErrInvalid) {
		t.Errorf("a layout: %v", r.Err())
	}
	d.must(command.PrepareEpochs, prepare(preparation(0, 1, 0, 1, 0, 2)))
	if next := d.c.View().Placement().Groups[0].Next; next.Fragments != nil {
		t.Errorf("fragment numbers %v", next.Fragments)
	}
}

// TestCommandsOfClassesAreGolden freezes the log: entries outlive programs.
func TestCommandsOfClassesAreGolden(t *testing.T) {
	for want, payload := range map[string]any{
		`{"video":"01000000-0000-0000-0000-000000000000","from":"hot","index":7,"to":"cooling","layout":{"scheme":"3+2","head":4,"small":65536},"hosts_can_fail":1}`: command.StepClassPayload{
			Video: vstack.VideoID{1}, From: vstack.ClassHot, Index: 7, To: vstack.ClassCooling, Layout: vstack.DefaultLayout, HostsCanFail: 1},
		`{"video":"01000000-0000-0000-0000-000000000000","from":"cold","index":9,"to":"warming"}`: command.StepClassPayload{
			Video: vstack.VideoID{1}, From: vstack.ClassCold, Index: 9, To: vstack.ClassWarming},
		`{"video":"01000000-0000-0000-0000-000000000000","policy":"cold","layout":{"scheme":"4+2","head":0,"small":0}}`: command.SetPolicyPayload{
			Video: vstack.VideoID{1}, Policy: vstack.PolicyCold, Layout: vstack.Layout{Scheme: vstack.Scheme{K: 4, M: 2}}},
		`{"video":"01000000-0000-0000-0000-000000000000","policy":"cold"}`: command.SetPolicyPayload{Video: vstack.VideoID{1}, Policy: vstack.PolicyCold},
	} {
		got, err := json.Marshal(payload)
		if err != nil || string(got) != want {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}

// TestRowsOfClassesSurviveASnapshot: and say what they said before there were classes where
// there is none.
func TestRowsOfClassesSurviveASnapshot(t *testing.T) {
	d := classy(t)
	hot := snapshotOf(t, d.c)
	if bytes.Contains(hot, []byte(`"layout"`)) || bytes.Contains(hot, []byte(`"fragments"`)) {
		t.Error("a hot video says a layout, or a group in order its fragment numbers")
	}
	d.must(command.StepClass, d.step(1, vstack.ClassCooling))
	d.must(command.PrepareEpochs, prepare(preparation(0, 1, 0, 1, 0, 2)))
	d.must(command.ActivateEpochs, activate(change(0, 2, 1)))
	b := snapshotOf(t, d.c)
	for _, row := range []string{`"class":"cooling"`, `"layout":{"scheme":"3+2","head":0,"small":0}`, `"fragments":[1,0,2]`} {
		if !bytes.Contains(b, []byte(row)) {
			t.Errorf("the snapshot lacks %s", row)
		}
	}
	again := newCatalog(t)
	if err := again.Restore(io.NopCloser(bytes.NewReader(b))); err != nil || checksum(t, again) != checksum(t, d.c) {
		t.Errorf("restored: %v", err)
	}
}

func TestFragmentNumbersBelongToStores(t *testing.T) {
	of := func(ids ...int) (out []vstack.StoreID) {
		for _, n := range ids {
			out = append(out, store(n))
		}
		return out
	}
	g := vstack.PGTargets{Epoch: 1, Targets: of(0, 1, 2, 3, 4)}
	for _, tc := range []struct {
		name string
		to   []vstack.StoreID
		want []vstack.FragmentNumber
	}{
		{"the same", of(0, 1, 2, 3, 4), nil},
		{"a newcomer takes the leaver's", of(0, 5, 2, 3, 4), nil},
		{"a promoted tail keeps its own", of(4, 1, 2, 3, 5), []vstack.FragmentNumber{4, 1, 2, 3, 0}},
		{"two leave", of(4, 5, 2, 6, 1), []vstack.FragmentNumber{4, 0, 2, 3, 1}},
		{"one more", of(0, 1, 2, 3, 4, 5), nil},
		{"one less and one more", of(1, 2, 3, 4, 5), []vstack.FragmentNumber{1, 2, 3, 4, 0}},
	} {
		got := g.CarryFragments(tc.to)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	g = vstack.PGTargets{Epoch: 2, Targets: of(4, 1, 2, 3, 5), Fragments: []vstack.FragmentNumber{4, 1, 2, 3, 0}}
	if got := g.CarryFragments(of(4, 1, 2, 6, 5)); !slices.Equal(got, []vstack.FragmentNumber{4, 1, 2, 3, 0}) {
		t.Errorf("of numbers that were carried before: %v", got)
	}
}

// drawStep makes steps of which few fit the class that the video has.
func drawStep(t *rapid.T, n int, index uint64) (command.Type, any) {
	p := command.StepClassPayload{Video: video(n), From: vstack.StorageClass(rapid.SampledFrom([]string{"hot", "hot", "cooling", "cold", "warming"}).Draw(t, "from"))}
	p.To = rapid.SampledFrom(p.From.Next()).Draw(t, "to")
	p.Index = rapid.SampledFrom([]uint64{0, index, index + 1}).Draw(t, "class index")
	if p.From == vstack.ClassHot {
		p.Layout = vstack.Layout{Scheme: vstack.Scheme{K: 2, M: 1}}
	}
	return command.StepClass, p
}
