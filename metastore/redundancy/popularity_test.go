package redundancy

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

var now = time.Unix(1_000_000_000, 0)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// old is a video that was published long ago, of 100 bytes.
func old(n byte, class vstack.StorageClass, popularity int64) vstack.Video {
	return vstack.Video{ID: vstack.VideoID{n}, State: vstack.VideoPublished, Class: class, Policy: vstack.PolicyAuto, Popularity: popularity, Size: 100, Published: ago(1000 * time.Hour)}
}

func TestPopularityDecidesBetweenItsThresholds(t *testing.T) {
	const hour = time.Hour
	for name, c := range map[string]struct {
		class   vstack.StorageClass
		popular int64
		change  func(*vstack.Video)
		want    vstack.StorageClass
	}{
		"hot, below":                    {vstack.ClassHot, 499, nil, vstack.ClassCold},
		"hot, at the threshold":         {vstack.ClassHot, 500, nil, ""},
		"hot, between":                  {vstack.ClassHot, 900, nil, ""},
		"hot, above":                    {vstack.ClassHot, 5000, nil, ""},
		"hot, below, and new":           {vstack.ClassHot, 0, func(v *vstack.Video) { v.Published = ago(23 * hour) }, ""},
		"hot, below, old enough":        {vstack.ClassHot, 0, func(v *vstack.Video) { v.Published = ago(24 * hour) }, vstack.ClassCold},
		"hot again not for long":        {vstack.ClassHot, 0, func(v *vstack.Video) { v.ClassSince = ago(23 * hour) }, ""},
		"hot again for long enough":     {vstack.ClassHot, 0, func(v *vstack.Video) { v.ClassSince = ago(24 * hour) }, vstack.ClassCold},
		"cold, above":                   {vstack.ClassCold, 1001, nil, vstack.ClassHot},
		"cold, above, a minute ago hot": {vstack.ClassCold, 1001, func(v *vstack.Video) { v.ClassSince = ago(time.Minute) }, vstack.ClassHot},
		"cold, at the threshold":        {vstack.ClassCold, 1000, nil, ""},
		"cold, between":                 {vstack.ClassCold, 700, nil, ""},
		"cold, below":                   {vstack.ClassCold, 0, nil, ""},
		"cooling, above":                {vstack.ClassCooling, 1001, nil, vstack.ClassHot},
		"cooling, between":              {vstack.ClassCooling, 700, nil, ""},
		"warming, below":                {vstack.ClassWarming, 0, nil, ""},
		"pinned hot":                    {vstack.ClassHot, 0, func(v *vstack.Video) { v.Policy = vstack.PolicyHot }, ""},
		"pinned cold":                   {vstack.ClassCold, 9999, func(v *vstack.Video) { v.Policy = vstack.PolicyCold }, ""},
	} {
		v := old(1, c.class, c.popular)
		if c.change != nil {
			c.change(&v)
		}
		if got := Wish(vstack.DefaultRedundancy, now, slices.Values([]vstack.Video{v})).To[v.ID]; got != c.want {
			t.Errorf("%s: wished %q, want %q", name, got, c.want)
		}
	}
	off := vstack.DefaultRedundancy
	off.Auto = false
	if w := Wish(off, now, slices.Values([]vstack.Video{old(1, vstack.ClassHot, 0)})); len(w.To) != 0 {
		t.Errorf("with auto off: %+v", w)
	}
}

// TestADaysBytesBoundWhatCools: the least popular go first; what has moved within a day has
// spent of it; one film that is larger than a day's bytes goes alone; warming waits for none.
func TestADaysBytesBoundWhatCools(t *testing.T) {
	p := vstack.DefaultRedundancy
	p.BytesADay = 250
	cooled := func(videos ...vstack.Video) (ids []byte, w Wishes) {
		w = Wish(p, now, slices.Values(videos))
		for id, to := range w.To {
			if to == vstack.ClassCold {
				ids = append(ids, id[0])
			}
		}
		slices.Sort(ids)
		return ids, w
	}
	a, b, c, d := old(1, vstack.ClassHot, 30), old(2, vstack.ClassHot, 20), old(3, vstack.ClassHot, 10), old(4, vstack.ClassHot, 40)
	ids, w := cooled(a, b, c, d)
	if !slices.Equal(ids, []byte{2, 3}) || w.Cool != (wire.Tally{Videos: 4, Bytes: 400}) || w.Later != (wire.Tally{Videos: 2, Bytes: 200}) {
		t.Errorf("of 250 bytes a day %v cool, %+v", ids, w)
	}
	moved := old(5, vstack.ClassCold, 0)
	moved.ClassSince = ago(23 * time.Hour)
	if ids, w = cooled(a, b, c, d, moved); !slices.Equal(ids, []byte{3}) || w.Spent != 100 {
		t.Errorf("after 100 bytes %v cool, %+v", ids, w)
	}
	moved.ClassSince = ago(25 * time.Hour)
	if ids, _ = cooled(a, b, c, d, moved); len(ids) != 2 {
		t.Errorf("a day later %v cool", ids)
	}
	a.Size = 1000
	if ids, _ = cooled(a); !slices.Equal(ids, []byte{1}) {
		t.Errorf("a large film alone: %v", ids)
	}
	moved.ClassSince = ago(time.Hour)
	popular := old(6, vstack.ClassCold, 2000)
	popular.Size = 1 << 40
	if _, w = cooled(a, moved, popular); w.To[popular.ID] != vstack.ClassHot || len(w.To) != 1 {
		t.Errorf("a popular film waits for a day's bytes: %+v", w)
	}
}

// TestWishesAreBounded: the least popular and the most popular are among them.
func TestWishesAreBounded(t *testing.T) {
	var videos []vstack.Video
	for n := range 3 * maxWishes {
		hot, cold := old(1, vstack.ClassHot, int64(n%500)), old(2, vstack.ClassCold, int64(2000+n))
		for _, v := range []*vstack.Video{&hot, &cold} {
			v.ID[1], v.ID[2] = byte(n), byte(n>>8)
			videos = append(videos, *v)
		}
	}
	p := vstack.DefaultRedundancy
	p.BytesADay = 0
	w := Wish(p, now, slices.Values(videos))
	n := map[vstack.StorageClass]int{}
	for to := range maps.Values(w.To) {
		n[to]++
	}
	if n[vstack.ClassCold] != maxWishes || n[vstack.ClassHot] != maxWishes || w.Cool.Videos != 3*maxWishes {
		t.Errorf("%v wishes, %+v", n, w.Cool)
	}
	last := vstack.VideoID{2, byte((3*maxWishes - 1) & 255), byte((3*maxWishes - 1) >> 8)}
	if w.To[last] != vstack.ClassHot {
		t.Error("the most popular one is not wished hot")
	}
}
