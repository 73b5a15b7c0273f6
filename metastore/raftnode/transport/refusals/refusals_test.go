package refusals

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestRefusalsAreToldOfInSum(t *testing.T) {
	var out bytes.Buffer
	r := New(slog.New(slog.NewTextHandler(&out, nil)))
	for n := range 10_000 {
		r.Warn("refused", "n", n)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 {
		t.Fatalf("%d lines", lines)
	}
	r.last = time.Time{}
	r.Warn("refused", "n", "last")
	if !strings.Contains(out.String(), "others_since_the_last=9999") {
		t.Errorf("%s", out.String())
	}
}
