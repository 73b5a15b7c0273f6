package pages

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/quicclient"
)

// plays is a film whose first picture comes after what its policy is worth.
func plays(ctx context.Context, p PlayRequest, onEvent func(quicclient.Event)) (quicclient.Report, error) {
	startup := 0.2
	if p.Policy == "round-robin" {
		startup = 0.5
	}
	r := quicclient.Report{Startup: startup, Bytes: 100}
	for at := time.Duration(0); ; at += 100 * time.Millisecond {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		onEvent(quicclient.Event{Time: at, Position: time.Duration(float64(at) * p.Speed), Buffered: time.Second})
		time.Sleep(100 * time.Millisecond) // the pace of the film, by the test's clock
	}
}

func TestAComparisonIsPaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began []string
		c := newComparer(func(ctx context.Context, p PlayRequest, onEvent func(quicclient.Event)) (quicclient.Report, error) {
			began = append(began, p.Policy)
			return plays(ctx, p, onEvent)
		}, &linker{})
		defer c.close()
		if err := c.start(CompareRequest{Video: vstack.VideoID{1}, Pairs: 2, Seconds: 4, Speed: 2}); err != nil {
			t.Fatal(err)
		}
		if err := c.start(CompareRequest{Video: vstack.VideoID{1}, Pairs: 2, Seconds: 4, Speed: 2}); !errors.Is(err, vstack.ErrAlreadyExists) {
			t.Errorf("a second one: %v", err)
		}
		time.Sleep(time.Minute) // of the bubble's clock: longer than all four playbacks
		synctest.Wait()
		if len(began) != 4 || began[0] != began[3] || began[1] != began[2] || began[0] == began[1] {
			t.Errorf("the turns were %v", began)
		}
		if c.now.Running || c.now.Error != "" || len(c.now.Runs) != 2 || len(c.now.Runs[1].Naive.Points) != 11 {
			t.Fatalf("%+v", c.now)
		}
		f := c.now.Figures[0]
		if f.Name != "first picture" || f.Pairs != 2 || math.Abs(f.Difference-0.3) > 1e-9 || math.Abs(f.High-f.Low) > 1e-9 {
			t.Errorf("%+v", f)
		}
	})
}

// worse are links of one kind, which keep bad time as often as late says.
type worse struct {
	late  *int
	seeds *[]uint64
	open  *int
}

func (worse) Ls() []LinkKind { return []LinkKind{{Name: "bad", Doc: "bad ones"}} }

func (w worse) Open(_ string, seed uint64, stores []vstack.Store) (LinkedNetwork, error) {
	if len(stores) != 3 {
		return nil, vstack.ErrInvalid
	}
	*w.seeds = append(*w.seeds, seed)
	*w.open++
	return worseNetwork{network.OS{}, w}, nil
}

type worseNetwork struct {
	network.OS
	of worse
}

func (n worseNetwork) Late() error {
	if *n.of.late--; *n.of.late >= 0 {
		return vstack.ErrUnavailable
	}
	return nil
}

func (n worseNetwork) Close() error {
	*n.of.open--
	return nil
}

// Both plays of a pair have the same links; one whose links kept bad time is played again, and
// counts for nothing after the third time.
func TestAComparisonOverEmulatedLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seeds []uint64
		late, open := 4, 0
		c := newComparer(func(ctx context.Context, p PlayRequest, onEvent func(quicclient.Event)) (quicclient.Report, error) {
			if p.Over == nil || open != 1 {
				t.Errorf("played over %v, %d networks are open", p.Over, open)
			}
			return plays(ctx, p, onEvent)
		}, &linker{worse{&late, &seeds, &open}, voters{}.RefreshPlacement})
		defer c.close()
		ask := CompareRequest{Video: vstack.VideoID{1}, Pairs: 2, Seconds: 4, Speed: 2, Links: "good"}
		if err := c.start(ask); !errors.Is(err, vstack.ErrInvalid) {
			t.Errorf("over links that there are not: %v", err)
		}
		ask.Links = "bad"
		if err := c.start(ask); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // of the bubble's clock: longer than all playbacks
		synctest.Wait()
		if want := []uint64{1, 1, 1, 1, 1, 2, 2}; !slices.Equal(seeds, want) || open != 0 {
			t.Errorf("links of seeds %v, want %v; %d are open", seeds, want, open)
		}
		if c.now.Error != "" || c.now.Runs[0].Smart.Late == "" || c.now.Runs[0].Naive.Late != "" || len(c.now.Figures) == 0 || c.now.Figures[0].Pairs != 1 {
			t.Errorf("%+v", c.now)
		}
	})
}

func TestAComparisonThatFailsSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newComparer(func(context.Context, PlayRequest, func(quicclient.Event)) (quicclient.Report, error) {
			return quicclient.Report{}, vstack.ErrUnavailable
		}, &linker{})
		defer c.close()
		if err := c.start(CompareRequest{Video: vstack.VideoID{1}, Pairs: 1, Seconds: 4, Speed: 2}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if c.now.Running || c.now.Error == "" {
			t.Errorf("%+v", c.now)
		}
	})
}

// TestIntervalsAreStudents uses figures that any table of t has.
func TestIntervalsAreStudents(t *testing.T) {
	mean, low, high := interval([]float64{1, 2, 3, 4, 5})
	if mean != 3 || math.Abs(low-1.0368) > 1e-3 || math.Abs(high-4.9632) > 1e-3 {
		t.Errorf("%v [%v, %v], want 3 [1.037, 4.963]", mean, low, high)
	}
	if mean, low, high = interval([]float64{7}); mean != 7 || low != 7 || high != 7 {
		t.Errorf("of one value %v [%v, %v]", mean, low, high)
	}
}

func TestAComparisonOverHTTP(t *testing.T) {
	s, _ := open(t)
	id := vstack.VideoID{1}.String()
	for name, tc := range map[string]struct {
		ask
		want int
	}{
		"without the token": {ask{method: "POST", path: "/v1/compare", body: `{"video":"` + id + `","pairs":1,"seconds":1,"speed":1}`}, 401},
		"without a film":    {ask{method: "POST", path: "/v1/compare", token: s.token, body: `{"pairs":1,"seconds":1,"speed":1}`}, 400},
		"of no policy":      {ask{method: "POST", path: "/v1/compare", token: s.token, body: `{"video":"` + id + `","naive":"x","pairs":1,"seconds":1,"speed":1}`}, 400},
		"of a year":         {ask{method: "POST", path: "/v1/compare", token: s.token, body: `{"video":"` + id + `","pairs":1,"seconds":1e9,"speed":1}`}, 400},
		"stopped":           {ask{method: "DELETE", path: "/v1/compare", token: s.token}, 204},
	} {
		if got, body, _ := s.answer(t, tc.ask); got != tc.want {
			t.Errorf("%s: status %d, want %d: %s", name, got, tc.want, body)
		}
	}
	if got, body, _ := s.answer(t, ask{method: "POST", path: "/v1/compare", token: s.token, body: `{"video":"` + id + `","pairs":1,"seconds":1,"speed":16}`}); got != http.StatusAccepted {
		t.Fatalf("status %d: %s", got, body)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, body, _ := s.answer(t, ask{method: "GET", path: "/v1/compare", token: s.token})
		var c Comparison
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			t.Fatal(err)
		}
		if !c.Running && len(c.Figures) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not end: %s", body)
		}
	}
}
