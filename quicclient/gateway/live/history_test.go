package live

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// shown is a span as JSON shows it, "-" being none.
func shown(t *testing.T, h *History, span, name string) string {
	t.Helper()
	s, err := h.Get(span)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s.Values[name])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAHistoryKeepsEachSpanAtItsOwnStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0.0
		h := NewHistory(HistoryConfig{Figures: func(context.Context) (map[string]float64, error) {
			n++
			if n == 3 {
				return nil, errors.New("no catalog")
			}
			s := map[string]float64{"a": n}
			if n > 4 {
				s["late"] = n
			}
			return s, nil
		}})
		defer h.Close()
		if got := shown(t, h, "10m", "a"); got != "null" {
			t.Errorf("before the first sample: %s", got)
		}
		time.Sleep(11 * time.Second) // six samples
		synctest.Wait()
		if got := shown(t, h, "10m", "a"); got != "[1,2,null,4,5,6]" {
			t.Errorf("a: %s", got)
		}
		if got := shown(t, h, "10m", "late"); got != "[null,null,null,null,5,6]" {
			t.Errorf("late: %s", got)
		}
		time.Sleep(20 * time.Second) // 15 or 16 samples: one value of 30 s, the mean of those that there are
		synctest.Wait()
		if got := shown(t, h, "2h", "a"); got != "[8.35714]" {
			t.Errorf("2h: %s", got)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		s, err := h.Get("10m")
		if err != nil || len(s.Values["a"]) != 300 || s.Step != 2 {
			t.Errorf("%d values a step of %v s, %v", len(s.Values["a"]), s.Step, err)
		}
	})
}

func TestNobodyAsksAndNoSampleIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := 0
		h := NewHistory(HistoryConfig{Idle: time.Minute, Figures: func(context.Context) (map[string]float64, error) {
			taken++
			return map[string]float64{"a": 1}, nil
		}})
		defer h.Close()
		time.Sleep(time.Minute)
		if taken != 0 {
			t.Fatalf("%d samples before anybody asked", taken)
		}
		shown(t, h, "10m", "a")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if taken > 32 {
			t.Errorf("%d samples, want those of a minute", taken)
		}
		before := taken
		shown(t, h, "10m", "a") // somebody is back: the time between shows as a hole
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s, err := h.Get("10m")
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(s.Values["a"][before-2 : before+1])
		if err != nil || string(got) != "[1,null,null]" || taken < before+1 {
			t.Errorf("around the pause %s, %d samples since, %v", got, taken-before, err)
		}
	})
}

func TestNamesAreBounded(t *testing.T) {
	h := NewHistory(HistoryConfig{MaxNames: 2})
	h.mu.Lock()
	h.push(map[string]float64{"a": 1, "b": 1, "c": 1})
	h.mu.Unlock()
	if names := len(h.values); names != 2 {
		t.Errorf("%d names, want 2", names)
	}
}

func TestAnUnknownSpanIsRefused(t *testing.T) {
	h := NewHistory(HistoryConfig{})
	if _, err := h.Get("1y"); !errors.Is(err, vstack.ErrInvalid) || !slices.Contains(Spans(), "2h") {
		t.Errorf("1y: %v, spans %v", err, Spans())
	}
}
