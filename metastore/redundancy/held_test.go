package redundancy

import (
	"slices"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/reconfigure"
)

// claims is what stores said, by store: the same of every group.
type claims map[vstack.StoreID]reconfigure.Claim

func (c claims) judge(m *vstack.PlacementMap) *Judge {
	return NewJudge(State{Map: m, Floor: 1, Claim: func(_ vstack.PG, id vstack.StoreID) (reconfigure.Claim, bool) {
		of, said := c[id]
		return of, said
	}})
}

// through says to lack nothing through an index, as of a survey.
func through(index, surveyed uint64) reconfigure.Claim {
	return reconfigure.Claim{Epoch: 1, Complete: index, Readable: index, Surveyed: surveyed}
}

// everybody has said to be complete through an index.
func everybody(m *vstack.PlacementMap, index uint64) claims {
	c := claims{}
	for _, s := range m.Stores {
		c[s.ID] = through(index, index)
	}
	return c
}

// lies is a video in a class, with an init chunk, a hot head and chunks that may be fragments.
func lies(class vstack.StorageClass, index uint64) (vstack.Video, *vstack.Manifest) {
	m := &vstack.Manifest{Video: vstack.VideoID{9}, Tracks: []vstack.Track{{Number: 1, Kind: vstack.TrackVideo, Timescale: 1, Init: vstack.ChunkRef{Size: 10}}}}
	for n := range 40 {
		m.Tracks[0].Chunks = append(m.Tracks[0].Chunks, vstack.ChunkRef{Seq: uint32(n + 1), Size: 1 << 20, Start: int64(2 * n), Duration: 2})
	}
	v := vstack.Video{ID: m.Video, State: vstack.VideoPublished, Class: class, ClassIndex: index}
	if class != vstack.ClassHot {
		v.Layout = vstack.DefaultLayout
	}
	return v, m
}

// TestWhatMayFailIsWhatIsHeld: five hosts of one store. What a store has not said, or said of
// an older catalog, it does not hold.
func TestWhatMayFailIsWhatIsHeld(t *testing.T) {
	both := func(n int) wire.Bears { return wire.Bears{Hosts: n, Stores: n} }
	for name, c := range map[string]struct {
		class vstack.StorageClass
		away  int // stores that say nothing
		older int // stores that said it of an older catalog
		least int // of all groups
		most  int // copies of the hot head among them
	}{
		"hot":                                 {vstack.ClassHot, 0, 0, 2, 2},
		"hot, a store away":                   {vstack.ClassHot, 1, 0, 1, 2},
		"hot, a store lacks it":               {vstack.ClassHot, 0, 1, 1, 2},
		"cooling, fragments are under way":    {vstack.ClassCooling, 0, 0, 2, 2},
		"cold":                                {vstack.ClassCold, 0, 0, 2, 2},
		"cold, a store away":                  {vstack.ClassCold, 1, 0, 1, 1},
		"cold, one away and one lacks it":     {vstack.ClassCold, 1, 1, 0, 1},
		"cold, two away and one lacks it":     {vstack.ClassCold, 2, 1, -1, 0},
		"warming, copies are under way":       {vstack.ClassWarming, 0, 0, 2, 2},
		"nobody has said anything since long": {vstack.ClassHot, 5, 0, -1, -1},
	} {
		m := mapOf(t, 5, 1)
		said := everybody(m, 50)
		for i, s := range m.Stores {
			switch {
			case i < c.away:
				delete(said, s.ID)
			case i < c.away+c.older:
				said[s.ID] = through(49, 60)
			}
		}
		v, film := lies(c.class, 50)
		j := said.judge(m)
		if got := j.Video(v, film); got != both(c.least) {
			t.Errorf("%s: bears %+v, want %d", name, got, c.least)
		}
		best := lost
		j.video(&entry{Video: v, parts: partsOf(film, v.Layout)}, func(_ vstack.PG, b wire.Bears) {
			best = wire.Bears{Hosts: max(best.Hosts, b.Hosts), Stores: max(best.Stores, b.Stores)}
		})
		if best.Stores != c.most {
			t.Errorf("%s: the best group bears %+v, want %d", name, best, c.most)
		}
	}
}

// TestHostsFailWithAllTheirStores: on three hosts of two, five fragments sit 2-2-1.
func TestHostsFailWithAllTheirStores(t *testing.T) {
	m := mapOf(t, 3, 2)
	v, film := lies(vstack.ClassCold, 50)
	if got := everybody(m, 50).judge(m).Video(v, film); got != (wire.Bears{Hosts: 1, Stores: 2}) {
		t.Errorf("bears %+v", got)
	}
}

func TestTheSumIsTheWorstOfAll(t *testing.T) {
	m := mapOf(t, 5, 1)
	said := everybody(m, 50)
	said[m.Stores[0].ID] = through(20, 60)
	l := NewLedger()
	add := func(n byte, class vstack.StorageClass, index uint64) {
		v, film := lies(class, index)
		v.ID = vstack.VideoID{n}
		v.Size = 100
		l.videos[v.ID] = &entry{Video: v, parts: partsOf(film, vstack.DefaultLayout)}
		l.videos[v.ID].Layout = vstack.DefaultLayout
	}
	add(1, vstack.ClassCold, 10)
	add(2, vstack.ClassHot, 10)
	got := l.Sum(said.judge(m), 2)
	if got.Bears == nil || *got.Bears != (wire.Bears{Hosts: 2, Stores: 2}) || got.Unproven+got.Below != 0 || got.Videos != 2 {
		t.Errorf("%+v, bears %+v", got, got.Bears)
	}
	if got.Classes[vstack.ClassCold] != (wire.Tally{Videos: 1, Bytes: 100}) {
		t.Errorf("classes %+v", got.Classes)
	}
	add(3, vstack.ClassCold, 30) // the first store lacks it
	got = l.Sum(said.judge(m), 2)
	if *got.Bears != (wire.Bears{Hosts: 1, Stores: 1}) || got.Below != 1 {
		t.Errorf("%+v, bears %+v", got, got.Bears)
	}
	worst := slices.MinFunc(got.Groups, func(a, b wire.GroupBears) int { return a.Stores - b.Stores })
	if worst.Stores != 1 {
		t.Errorf("the worst group bears %+v", worst)
	}
	add(4, vstack.ClassHot, 60) // nobody has said to have it
	if got = l.Sum(said.judge(m), 2); got.Unproven != 1 || *got.Bears != lost {
		t.Errorf("%+v, bears %+v", got, got.Bears)
	}
}

// TestPartsAreThoseOfTheLayout: a video's bytes that may be fragments, and where.
func TestPartsAreThoseOfTheLayout(t *testing.T) {
	_, film := lies(vstack.ClassCold, 1)
	p := partsOf(film, vstack.DefaultLayout) // the first 4 s are two chunks
	if p.bytes != 38<<20 {
		t.Errorf("%d bytes may be fragments", p.bytes)
	}
	var kept, coded groups
	film.Slots(func(s vstack.Slot, _ vstack.ChunkRef) bool {
		if s.Seq <= 2 {
			kept.add(s.PG())
		} else {
			coded.add(s.PG())
		}
		return true
	})
	if p.kept != kept || p.coded != coded {
		t.Error("in other groups than the slots say")
	}
}

// TestAStepLowersNoFigure: until a store knows of it, what it said of the class before counts;
// once it does, only what it says of this one.
func TestAStepLowersNoFigure(t *testing.T) {
	m := mapOf(t, 5, 1)
	bears := func(c reconfigure.Claim, class vstack.StorageClass, before uint64) int {
		v, film := lies(class, 50)
		v.ClassBefore = before
		said := claims{}
		for _, s := range m.Stores {
			said[s.ID] = c
		}
		return said.judge(m).Video(v, film).Stores
	}
	for name, c := range map[string]struct {
		claim  reconfigure.Claim
		before uint64
		want   int
	}{
		"knows of it, and has all":                    {through(60, 60), 40, 2},
		"does not know of it, and lacked nothing":     {through(45, 45), 40, 2},
		"does not know of it, and lacked something":   {through(39, 45), 40, -1},
		"does not know of it, and the class before":   {through(30, 30), 40, -1},
		"does not know of a publish":                  {through(45, 45), 0, -1},
		"knows of it, and lacks what keeps it":        {reconfigure.Claim{Complete: 49, Readable: 49, Surveyed: 60}, 40, -1},
		"knows of it, and lacks what it is on way to": {reconfigure.Claim{Complete: 49, Readable: 60, Surveyed: 60}, 40, 2},
	} {
		if got := bears(c.claim, vstack.ClassCooling, c.before); got != c.want {
			t.Errorf("every store %s: bears %d, want %d", name, got, c.want)
		}
	}
}
