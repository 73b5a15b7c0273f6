package redundancy

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

const (
	// maxWishes bounds the videos that are wished into another class at once, by direction.
	maxWishes = 1024
	// aDay is what BytesADay is about.
	aDay = 24 * time.Hour
)

// Wishes are what popularity asks for.
type Wishes struct {
	// To is the class in which videos should be: cold or hot. Of many, the least popular cool
	// first, and the most popular warm first.
	To map[vstack.VideoID]vstack.StorageClass
	// Cool and Warm are all that should change, Later those of Cool that wait because of
	// BytesADay. Spent are the bytes of videos that took a step of their own within a day.
	Cool, Warm, Later wire.Tally
	Spent             int64
}

// Wish decides which videos should change their class, by a policy.
func Wish(p vstack.RedundancyPolicy, now time.Time, videos iter.Seq[vstack.Video]) Wishes {
	w := Wishes{To: map[vstack.VideoID]vstack.StorageClass{}}
	if !p.Auto {
		return w
	}
	var cool, warm []vstack.Video
	for v := range videos {
		if v.Policy != vstack.PolicyAuto {
			continue
		}
		if !v.ClassSince.IsZero() && now.Sub(v.ClassSince) < aDay {
			w.Spent += v.Size
		}
		switch {
		case v.Class == vstack.ClassHot && v.Popularity < p.CoolBelow && rested(p, v, now):
			w.Cool = tally(w.Cool, v)
			cool = append(cool, v)
		case (v.Class == vstack.ClassCold || v.Class == vstack.ClassCooling) && v.Popularity > p.WarmAbove:
			w.Warm = tally(w.Warm, v)
			warm = append(warm, v)
		}
	}
	slices.SortFunc(warm, func(a, b vstack.Video) int {
		return cmp.Or(cmp.Compare(b.Popularity, a.Popularity), slices.Compare(a.ID[:], b.ID[:]))
	})
	for _, v := range warm[:min(len(warm), maxWishes)] {
		w.To[v.ID] = vstack.ClassHot
	}
	slices.SortFunc(cool, func(a, b vstack.Video) int {
		return cmp.Or(cmp.Compare(a.Popularity, b.Popularity), a.Published.Compare(b.Published), slices.Compare(a.ID[:], b.ID[:]))
	})
	w.cool(p, cool)
	return w
}

// rested reports whether a hot video is old enough, and was hot for long enough, to cool.
func rested(p vstack.RedundancyPolicy, v vstack.Video, now time.Time) bool {
	seconds := func(n int64) time.Duration { return time.Duration(n) * time.Second }
	return now.Sub(v.Published) >= seconds(p.MinAge) && (v.ClassSince.IsZero() || now.Sub(v.ClassSince) >= seconds(p.Dwell))
}

// cool wishes videos cold as far as the day's bytes go. One that is larger than all of them
// goes alone.
func (w *Wishes) cool(p vstack.RedundancyPolicy, videos []vstack.Video) {
	left, some := p.BytesADay-w.Spent, w.Spent > 0
	for n, v := range videos {
		if p.BytesADay > 0 && v.Size > left && some {
			w.Later = tally(w.Later, v)
			continue
		}
		if n < maxWishes {
			w.To[v.ID] = vstack.ClassCold
		}
		left, some = left-v.Size, true
	}
}

func tally(t wire.Tally, v vstack.Video) wire.Tally {
	return wire.Tally{Videos: t.Videos + 1, Bytes: t.Bytes + v.Size}
}
