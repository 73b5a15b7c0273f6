package cluster

import (
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vstack/vstack/deploy/config"
	"github.com/vstack/vstack/internal/console"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestBeganReadsOneMetricOfTheProcess(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"among others": {text("# TYPE process_start_time_seconds gauge\na 1\nprocess_start_time_seconds 1.79e+09\nb 2\n"), nil},
		"without it":   {text("process_start_time_seconds_total 3\n"), vstack.ErrNotFound},
		"no number":    {text("process_start_time_seconds soon\n"), vstack.ErrInternal},
		"no time":      {text("process_start_time_seconds +Inf\n"), vstack.ErrInternal},
		"a refusal":    {func(w http.ResponseWriter, _ *http.Request) { wire.WriteError(w, vstack.ErrClosed) }, vstack.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			c, addr := against(t, tc.answer)
			if at, err := c.Began(t.Context(), addr); !errors.Is(err, tc.want) || err == nil && at != 1.79e9 {
				t.Errorf("got %v, %v", at, err)
			}
		})
	}
	c, _ := against(t, nil)
	if _, err := c.Began(t.Context(), "127.0.0.1:1"); !errors.Is(err, vstack.ErrUnavailable) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nothing listens: %v", err)
	}
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
}

func FuzzParseBegan(f *testing.F) {
	f.Add("process_start_time_seconds 1.79e+09\n")
	f.Fuzz(func(t *testing.T, metrics string) {
		if at, err := parseBegan("h:1", strings.NewReader(metrics)); err == nil && (!(at > 0) || math.IsInf(at, 0)) {
			t.Errorf("began at %v", at)
		}
	})
}

func TestABundleIsFoundInALabToo(t *testing.T) {
	dir := t.TempDir()
	if _, err := FindBundle(dir); err == nil || console.ExitCode(err) != console.ExitError {
		t.Errorf("none: %v", err)
	}
	bundle := filepath.Join(dir, "client")
	if err := os.Mkdir(bundle, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, config.File), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, bundle} {
		if got, err := FindBundle(d); err != nil || got != bundle {
			t.Errorf("%s: %s, %v", d, got, err)
		}
	}
}
