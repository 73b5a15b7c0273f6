package views

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/admission"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestAViewerCountsOnceAnHour(t *testing.T) {
	h := NewHour()
	at := time.Date(2026, 1, 1, 12, 59, 0, 0, time.UTC)
	film, other := vstack.VideoID{1}, vstack.VideoID{2}
	for i, c := range []struct {
		viewer admission.Key
		video  vstack.VideoID
		at     time.Time
		first  bool
	}{
		{"a", film, at, true}, {"a", film, at.Add(time.Second), false}, {"b", film, at, true}, {"a", other, at, true},
		{"a", film, at.Add(2 * time.Minute), true}, {"a", film, at.Add(3 * time.Minute), false},
	} {
		if got := h.First(c.viewer, c.video, c.at); got != c.first {
			t.Errorf("%d: %v", i, got)
		}
	}
	for i := range 3 * maxSeen {
		h.First(admission.Key(fmt.Sprint(i)), film, at)
	}
	if n := len(h.now) + len(h.old); n > 2*maxSeen {
		t.Errorf("%d are remembered", n)
	}
	if h.First(admission.Key(fmt.Sprint(3*maxSeen-1)), film, at) {
		t.Error("the last one was forgotten")
	}
}

func TestABatchOfViewsKeepsItsRequestIDUntilItIsConfirmed(t *testing.T) {
	v := New()
	if err := v.Add(vstack.VideoID{1}, 3, ""); err != nil {
		t.Fatal(err)
	}
	first, id := v.batch(vstack.LevelFormats)
	if err := v.Add(vstack.VideoID{1}, 4, ""); err != nil {
		t.Fatal(err)
	}
	// The answer to the first was lost: it may be committed, so nothing may join it.
	again, same := v.batch(vstack.LevelFormats)
	if same != id || len(again.Views) != 1 || again.Views[0] != first.Views[0] || again.Views[0].Count != 3 || again.Source != first.Source || first.Source.Seq != 1 {
		t.Fatalf("sent %v as %s and then %v as %s", first, id, again, same)
	}
	v.pending = wire.ViewsBatch{}
	next, other := v.batch(vstack.LevelFormats)
	if other == id || len(next.Views) != 1 || next.Views[0].Count != 4 || next.Source.Run != first.Source.Run || next.Source.Seq != 2 {
		t.Fatalf("then %v as %s", next, other)
	}
	v.pending = wire.ViewsBatch{}
	if none, _ := v.batch(vstack.LevelFormats); len(none.Views) != 0 || none.Source.Seq != 0 {
		t.Fatalf("of nothing %v", none)
	}
	if err := v.Add(vstack.VideoID{1}, 4, ""); err != nil {
		t.Fatal(err)
	}
	if old, _ := v.batch(vstack.LevelFirst); old.Source != (wire.ViewsSource{}) {
		t.Fatalf("at the first level a batch says %v, which its members do not read", old.Source)
	}
	v.pending = wire.ViewsBatch{}
	for i := range MaxVideos {
		if err := v.Add(vstack.VideoID{2, byte(i), byte(i >> 8)}, 1, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Add(vstack.VideoID{3}, 1, ""); !errors.Is(err, vstack.ErrUnavailable) {
		t.Fatalf("beyond the bound: %v", err)
	}
}

func TestARequestIsRememberedForAWhile(t *testing.T) {
	m := New()
	for i := range maxRequests + 1 {
		if err := m.Add(vstack.VideoID{1}, 1, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	before := m.counts[vstack.VideoID{1}]
	if err := errors.Join(m.Add(vstack.VideoID{1}, 1, "1"), m.Add(vstack.VideoID{1}, 1, "0")); err != nil {
		t.Fatal(err)
	}
	if got := m.counts[vstack.VideoID{1}] - before; got != 1 || len(m.counted) != maxRequests {
		t.Errorf("of a request that is remembered and the one that was forgotten %d counted; %d are remembered", got, len(m.counted))
	}
}
