package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// logger writes JSON lines to the buffer, without their time.
func logger(out *bytes.Buffer) *slog.Logger {
	return slog.New(New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
}

func TestAKeyStandsOnceInALine(t *testing.T) {
	var out bytes.Buffer
	log := logger(&out).With("host", "h1", "role", "ingest").With("role", "uploader")
	log.Info("a", "host", "h2", "n", 1)
	log.WithGroup("g").With("x", 1).Info("b", "y", 2)
	want := `{"level":"INFO","msg":"a","host":"h2","role":"uploader","n":1}
{"level":"INFO","msg":"b","host":"h1","role":"uploader","g":{"x":1,"y":2}}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestALineCarriesItsRequest(t *testing.T) {
	var out bytes.Buffer
	id := trace.TraceID{1, 2, 3}
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{4}}))
	logger(&out).InfoContext(ctx, "a")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["trace"] != id.String() {
		t.Errorf("got %s, %v", out.String(), err)
	}
}

func TestTheSameLineIsBoundedByRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := logger(&out)
		for range 1000 {
			log.Warn("a stranger was refused")
			log.Debug("all")
		}
		log.Warn("another") // is not held up by it
		if n := strings.Count(out.String(), "stranger"); n != burst {
			t.Errorf("%d lines, want %d", n, burst)
		}
		if n := strings.Count(out.String(), "all"); n != 1000 || !strings.Contains(out.String(), "another") {
			t.Errorf("%d debug lines, want all: %s", n, out.String()[:200])
		}
		out.Reset()
		time.Sleep(refill)
		log.Warn("a stranger was refused")
		log.Warn("a stranger was refused")
		if want := `{"level":"WARN","msg":"a stranger was refused","unsaid":980}` + "\n"; out.String() != want {
			t.Errorf("got %s, want %s", out.String(), want)
		}
	})
}
