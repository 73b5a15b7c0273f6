package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vstack/vstack/internal/ops"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/internal/wire/openapi"
)

func get(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec
}

func TestHandler(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "vstack_ops_test_total", Help: "t"})
	reg.MustRegister(c)
	c.Add(3)
	var checks []ops.Check
	h := ops.Handler(ops.Config{
		Version:  wire.Version{Version: "v1.2.3", Host: "h1"},
		Registry: reg,
		Ready:    func(context.Context) []ops.Check { return checks },
		OpenAPI:  openapi.Document("t", "1", ops.Routes()),
	})

	t.Run("livez answers ok", func(t *testing.T) {
		if rec := get(t, h, "GET", "/livez"); rec.Code != 200 || rec.Body.String() != "ok\n" {
			t.Fatalf("got %d %q", rec.Code, rec.Body)
		}
	})
	t.Run("readyz is 200 while every check passes and lists them when verbose", func(t *testing.T) {
		checks = []ops.Check{{Name: "raft", Detail: "leader h1"}}
		if rec := get(t, h, "GET", "/readyz"); rec.Code != 200 || rec.Body.String() != "ready\n" {
			t.Fatalf("got %d %q", rec.Code, rec.Body)
		}
		if rec := get(t, h, "GET", "/readyz?verbose"); !strings.Contains(rec.Body.String(), "[+]raft: leader h1\n") {
			t.Fatalf("got %q", rec.Body)
		}
	})
	t.Run("readyz is 503 with the reason on one line when a check fails", func(t *testing.T) {
		checks = []ops.Check{{Name: "raft", Err: errors.New("no\nleader")}, {Name: "disk"}}
		rec := get(t, h, "GET", "/readyz")
		if rec.Code != 503 || !strings.Contains(rec.Body.String(), "[-]raft: no leader\n") {
			t.Fatalf("got %d %q", rec.Code, rec.Body)
		}
	})
	t.Run("metrics come from the given registry", func(t *testing.T) {
		if rec := get(t, h, "GET", "/metrics"); !strings.Contains(rec.Body.String(), "vstack_ops_test_total 3") {
			t.Fatalf("got %q", rec.Body)
		}
	})
	t.Run("version is JSON", func(t *testing.T) {
		var v wire.Version
		if err := json.Unmarshal(get(t, h, "GET", "/version").Body.Bytes(), &v); err != nil || v.Host != "h1" {
			t.Fatalf("got %+v, %v", v, err)
		}
	})
	t.Run("every route of Routes is served and openapi names it", func(t *testing.T) {
		checks = nil
		doc := get(t, h, "GET", "/openapi.json").Body.String()
		for _, r := range ops.Routes() {
			if rec := get(t, h, r.Method, r.Path); rec.Code != 200 {
				t.Errorf("%s: %d", r.Path, rec.Code)
			}
			if !strings.Contains(doc, `"`+r.Path+`"`) {
				t.Errorf("%s is not in openapi.json", r.Path)
			}
		}
	})
	t.Run("anything else is a 404 problem", func(t *testing.T) {
		rec := get(t, h, "GET", "/nope")
		if rec.Code != 404 || rec.Header().Get("Content-Type") != wire.ProblemType {
			t.Fatalf("got %d %s", rec.Code, rec.Header())
		}
	})
}

func TestReadyzBoundsItsChecks(t *testing.T) {
	var left time.Duration
	h := ops.Handler(ops.Config{Ready: func(ctx context.Context) []ops.Check {
		d, ok := ctx.Deadline()
		if !ok {
			t.Error("checks run without a deadline")
		}
		left = time.Until(d)
		return nil
	}})
	get(t, h, "GET", "/readyz")
	if left > 5*time.Second {
		t.Fatalf("deadline is %v away", left)
	}
}
