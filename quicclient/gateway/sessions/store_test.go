package sessions

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

func TestASessionIsWhatItsPlayerTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		for i := range 10 {
			if err := s.Tell("a", Report{Player: "vstack video play", Policy: "pull", State: "playing", Buffer: float64(i), Rate: 1e6}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		got, err := s.Get("a")
		if err != nil || !got.Playing || got.Kind != "smart" || got.Buffer != 9 {
			t.Fatalf("%+v, %v", got, err)
		}
		if n := len(got.Past); n != 5 || got.Past[1].Buffer != 2 {
			t.Errorf("%d points of ten seconds: %+v", n, got.Past)
		}
		time.Sleep(time.Minute)
		if got, _ := s.Get("a"); got.Playing || s.Playing() != 0 {
			t.Error("a minute of silence, and it still plays")
		}
	})
}

func TestStockPlayersAreHeard(t *testing.T) {
	s := New(Config{})
	s.Hear(Heard{ID: "x", Video: vstack.VideoID{1}, Player: "HLS player", Buffer: 4 * time.Second, Buffers: true, Rate: 5e6, Bytes: 100})
	s.Hear(Heard{ID: "x", Video: vstack.VideoID{1}, Player: "HLS player", Starved: true, Bytes: 50})
	got, err := s.Get("x")
	if err != nil || got.Kind != "stock" || got.Bytes != 150 || got.Stalls != 1 || got.Buffer != 4 || got.State != "stalled" {
		t.Fatalf("%+v, %v", got, err)
	}
	// A player that tells more of itself is not overwritten by its own requests.
	if err := s.Tell("x", Report{Player: "our page", State: "playing", Buffer: 20}); err != nil {
		t.Fatal(err)
	}
	s.Hear(Heard{ID: "x", Buffers: true})
	if got, _ := s.Get("x"); got.Kind != "page" || got.Buffer != 20 {
		t.Errorf("%+v", got)
	}
}

func TestStrangersCannotFillTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{MaxSessions: 10})
		for i := range 100 {
			if err := s.Tell(fmt.Sprint(i), Report{State: "playing"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		sum := s.Summary(5)
		if sum.Kept != 10 || len(sum.Items) != 5 || sum.Items[0].ID != "99" || sum.Playing != 10 {
			t.Errorf("%+v", sum)
		}
		if _, err := s.Get("0"); !errors.Is(err, vstack.ErrNotFound) {
			t.Errorf("the quietest is still here: %v", err)
		}
		for range 10_000 {
			if err := s.Tell("99", Report{State: "playing"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pastStep)
		}
		if got, _ := s.Get("99"); len(got.Past) != pastLength {
			t.Errorf("%d points of its past", len(got.Past))
		}
	})
}

func TestNonsenseIsRefused(t *testing.T) {
	s := New(Config{})
	for name, tc := range map[string]struct {
		id string
		r  Report
	}{
		"no state":           {"a", Report{}},
		"no number":          {"a", Report{State: "playing", Buffer: math.NaN()}},
		"a negative number":  {"a", Report{State: "playing", Rate: -1}},
		"a negative count":   {"a", Report{State: "playing", Bytes: -1}},
		"a long name":        {"a", Report{State: "playing", Player: strings.Repeat("x", 100)}},
		"a store's nonsense": {"a", Report{State: "playing", Sources: []Source{{RTT: math.Inf(1)}}}},
		"many stores":        {"a", Report{State: "playing", Sources: make([]Source, 100)}},
		"no id":              {"", Report{State: "playing"}},
		"a long id":          {strings.Repeat("x", 100), Report{State: "playing"}},
		"an id with lines":   {"a\nb", Report{State: "playing"}},
	} {
		if err := s.Tell(tc.id, tc.r); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Summary(1).Kept != 0 {
		t.Error("something was kept")
	}
}

func TestSessionsOfSeveralGatewaysAreOneList(t *testing.T) {
	now := time.Now()
	one := Summary{Playing: 2, Kept: 2, Kinds: map[string]int{"smart": 2}, Items: []Session{
		{ID: "a", Playing: true, Started: now, Seen: now, Report: Report{Buffer: 4}},
		{ID: "b", Playing: true, Started: now.Add(-time.Second), Seen: now.Add(-time.Minute), Report: Report{Buffer: 2}},
	}}
	two := Summary{Playing: 1, Kept: 5, Kinds: map[string]int{"smart": 1}, Items: []Session{
		{ID: "b", Playing: true, Started: now.Add(-time.Second), Seen: now, Report: Report{Buffer: 9}},
		{ID: "c", Started: now},
	}}
	got := Merge([]Summary{one, two}, 2)
	if len(got.Items) != 2 || got.Items[0].ID != "a" || got.Items[1].ID != "b" || got.Items[1].Buffer != 9 || got.Kept != 7 || got.Kinds["smart"] != 3 {
		t.Errorf("%+v", got)
	}
}
