package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/tracing"
	"github.com/vstack/vstack/internal/tracing/collector"
)

// process is a process with its tracer, whose handler asks another one.
func process(t *testing.T, name, endpoint string, ratio float64, slow time.Duration, h http.HandlerFunc) (*tracing.Tracer, *httptest.Server, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	tr, err := tracing.New(t.Context(), tracing.Config{Endpoint: endpoint, Ratio: ratio, Slow: slow, Host: name, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(tr.Handler(slog.New(slog.NewTextHandler(log, nil)), h))
	t.Cleanup(srv.Close)
	return tr, srv, log
}

func call(ctx context.Context, t *testing.T, url string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	tracing.Inject(ctx, req.Header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestATraceGoesThroughProcesses(t *testing.T) {
	for name, tc := range map[string]struct {
		ratio float64
		slow  time.Duration
		fail  bool
		keep  string
		want  []string // spans that are kept, by host
	}{
		"a sampled one is kept by all":                         {ratio: 1, want: []string{"a:POST /v1/films/…", "a:work", "b:POST /v1/chunks/…"}},
		"one that is not is kept by nobody":                    {slow: time.Hour},
		"what was slow is kept, by whom it was":                {slow: time.Nanosecond, want: []string{"a:POST /v1/films/…", "a:work", "b:POST /v1/chunks/…"}},
		"what failed is kept where it did, with what is above": {fail: true, want: []string{"a:POST /v1/films/…", "a:work", "b:POST /v1/chunks/…"}},
		"what is marked is kept where it was":                  {keep: "hedged", want: []string{"a:POST /v1/films/…", "a:work"}},
	} {
		t.Run(name, func(t *testing.T) {
			var c collector.Collector
			to := httptest.NewServer(&c)
			defer to.Close()
			b, store, _ := process(t, "b", to.URL, 0, tc.slow, func(w http.ResponseWriter, r *http.Request) {
				if tc.fail {
					w.WriteHeader(http.StatusInternalServerError)
				}
			})
			a, front, _ := process(t, "a", to.URL, tc.ratio, tc.slow, func(w http.ResponseWriter, r *http.Request) {
				ctx, span := tracing.Start(r.Context(), "work")
				resp := call(ctx, t, store.URL+"/v1/chunks/77/x")
				if tc.keep != "" {
					tracing.Keep(span, tc.keep)
				}
				var err error
				if resp.StatusCode != http.StatusOK {
					err = errors.New("the store failed")
				}
				tracing.End(span, err)
			})
			trace := call(t.Context(), t, front.URL+"/v1/films/9/x").Header.Get(tracing.HeaderTrace)
			front.Close()
			store.Close()
			for _, tr := range []*tracing.Tracer{a, b} {
				if err := tr.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			var got []string
			for _, s := range c.Spans(trace) {
				got = append(got, s.Host+":"+s.Name)
			}
			if strings.Join(got, ", ") != strings.Join(tc.want, ", ") || len(c.Spans("")) != len(got) {
				t.Errorf("kept %v, want %v; all that came: %v", got, tc.want, c.Spans(""))
			}
			if len(got) == 3 && c.Spans(trace)[2].Parent != c.Spans(trace)[1].ID {
				t.Errorf("the spans do not hang together:\n%s", c.Tree(trace, 9))
			}
		})
	}
}

func TestALogHasWhoChangedWhatAndWhatFailed(t *testing.T) {
	_, srv, log := process(t, "a", "", 0, 0, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/broken") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	trace := call(t.Context(), t, srv.URL+"/v1/videos/1/pin").Header.Get(tracing.HeaderTrace)
	call(t.Context(), t, srv.URL+"/files/0123456789abcdef")
	call(t.Context(), t, srv.URL+"/v1/broken")
	for range 2 {
		resp, err := http.Get(srv.URL + "/v1/videos")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	srv.Close()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want one each for what was changed and what failed:\n%s", len(lines), log)
	}
	for i, want := range []string{`level=INFO msg=request method=POST path=/v1/videos/1/pin status=200 by=-`, `path=/files/… `, `level=WARN msg="request failed" method=POST path=/v1/broken status=503`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %q lacks %q", lines[i], want)
		}
	}
	if len(trace) != 32 {
		t.Errorf("trace %q: an id is wanted though nothing is kept", trace)
	}
}

func TestACollectorThatIsAwayHoldsNobodyUp(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	tr, srv, _ := process(t, "a", away.URL, 1, 0, func(http.ResponseWriter, *http.Request) {})
	for range 100 {
		call(t.Context(), t, srv.URL+"/v1/x/1/2")
	}
	srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := tr.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestWithoutATracerNothingHappens(t *testing.T) {
	var tr *tracing.Tracer
	ctx, span := tr.Root(t.Context(), "x")
	ctx, below := tracing.Start(ctx, "y")
	tracing.Keep(below, "z")
	tracing.End(below, errors.New("e"))
	span.End()
	h := http.Header{}
	tracing.Inject(ctx, h)
	if len(h) != 0 || tracing.ID(ctx) != "" || tr.Close(ctx) != nil {
		t.Errorf("header %v", h)
	}
}

// BenchmarkStart is what a span costs that nobody keeps, one that is kept, and none.
func BenchmarkStart(b *testing.B) {
	for name, cfg := range map[string]tracing.Config{
		"ids only": {}, "kept": {Ratio: 1}, "not sampled": {},
	} {
		b.Run(name, func(b *testing.B) {
			var c collector.Collector
			to := httptest.NewServer(&c)
			defer to.Close()
			if name != "ids only" {
				cfg.Endpoint = to.URL
			}
			cfg.Logger = slog.New(slog.DiscardHandler)
			tr, err := tracing.New(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				ctx, root := tr.Root(b.Context(), "root")
				_, span := tracing.Start(ctx, "below")
				tracing.End(span, nil)
				root.End()
			}
			_ = tr.Close(b.Context())
		})
	}
}
