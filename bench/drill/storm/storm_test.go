package storm

import (
	"reflect"
	"testing"

	"github.com/vstack/vstack/bench/link/shape"
)

func TestASeedIsItsStorms(t *testing.T) {
	struck, stricken, gusts := map[Blow]int{}, map[int]int{}, 0
	for n := 1; n <= 600; n++ {
		st := Draw(7, n, 3)
		if !reflect.DeepEqual(st, Draw(7, n, 3)) {
			t.Fatalf("storm %d of a seed is two storms", n)
		}
		struck[st.Blow]++
		stricken[st.Victim]++
		gusts += len(st.Links)
		if st.After < 0 || st.After > maxLead || st.For < minBlow || st.For > maxBlow || !st.Cut.Sends && !st.Cut.Receives {
			t.Fatalf("storm %d: %+v", n, st)
		}
		for _, g := range st.Links {
			if err := shape.Always(g.Shape).Validate(); err != nil || g.Shape.Rate < minRate || g.Shape.Rate > maxRate || g.For < minLink || g.For > maxLink {
				t.Fatalf("storm %d: %+v, %v", n, g, err)
			}
		}
	}
	// Each kind and host a fair share, links for half of the hosts.
	for _, b := range blows {
		if struck[b] < 60 {
			t.Errorf("%s struck %d times of 600", b, struck[b])
		}
	}
	for h := range 3 {
		if stricken[h] < 140 {
			t.Errorf("h%d was struck %d times of 600", h+1, stricken[h])
		}
	}
	if gusts < 800 || gusts > 1000 {
		t.Errorf("%d bad links in 600 storms", gusts)
	}
	if reflect.DeepEqual(Draw(7, 1, 3), Draw(8, 1, 3)) {
		t.Error("two seeds draw the same")
	}
}
