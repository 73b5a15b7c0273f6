package steer

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPlayersAreSentWhereFilmsAreServed has one other gateway that is ready, and one that
// is not.
func TestPlayersAreSentWhereFilmsAreServed(t *testing.T) {
	status := func(code int) *url.URL {
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			w.WriteHeader(code)
		}))
		t.Cleanup(srv.Close)
		u, err := url.Parse(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	var fit atomic.Bool
	fit.Store(true)
	tests := httptest.NewTLSServer(nil)
	defer tests.Close()
	down, up := status(http.StatusServiceUnavailable), status(http.StatusOK)
	cfg := Config{Self: "here", Others: []Pathway{{"down", down}, {"up", up}}, Client: tests.Client(), Fit: func(context.Context) bool { return fit.Load() }}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	s := New(cfg)
	defer s.Close()
	defer cfg.Client.CloseIdleConnections()
	order := func() (a answer) {
		b, err := s.Manifest(t.Context())
		if err == nil {
			err = json.Unmarshal(b, &a)
		}
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	until := func(want ...string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !slices.Equal(order().Priority, want); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("order %q, want %q", order().Priority, want)
			}
		}
	}
	until("here", "up", "down")
	if a := order(); a.Version != 1 || a.TTL <= 0 {
		t.Errorf("%+v", a)
	}
	fit.Store(false)
	until("up", "here", "down")
}

func TestPathwaysThatCannotBeAreRefused(t *testing.T) {
	base := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for name, c := range map[string]Config{
		"no name":         {},
		"a name twice":    {Self: "a", Others: []Pathway{{"a", base("https://b")}}},
		"without TLS":     {Self: "a", Others: []Pathway{{"b", base("http://b")}}},
		"with a path":     {Self: "a", Others: []Pathway{{"b", base("https://b/films")}}},
		"quotes in names": {Self: `a"`},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
