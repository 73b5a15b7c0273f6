package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
)

func TestEveryErrorHasAStatus(t *testing.T) {
	for _, s := range vstack.AllErrors() {
		if status := statuses[s]; status < 400 || status > 599 || http.StatusText(status) == "" {
			t.Errorf("%s has status %d, want a standard one from 400 to 599", s.Code(), status)
		}
	}
	if len(statuses) != len(vstack.AllErrors()) {
		t.Errorf("%d statuses for %d errors", len(statuses), len(vstack.AllErrors()))
	}
}

// TestErrorsAreDocumented holds docs/errors.md to the tables: one row a code, with
// its status, a meaning and what to do.
func TestErrorsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 6 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			code := strings.Trim(strings.TrimSpace(cells[1]), "`")
			if rows[code] != nil {
				t.Errorf("%s is documented twice", code)
			}
			rows[code] = cells
		}
	}
	for _, s := range vstack.AllErrors() {
		row := rows[string(s.Code())]
		delete(rows, string(s.Code()))
		if row == nil {
			t.Errorf("%s is not in docs/errors.md", s.Code())
			continue
		}
		if got := strings.TrimSpace(row[2]); got != strconv.Itoa(statuses[s]) {
			t.Errorf("%s: docs say status %s, the table %d", s.Code(), got, statuses[s])
		}
		if len(strings.TrimSpace(row[3])) < 10 || len(strings.TrimSpace(row[4])) < 10 {
			t.Errorf("%s: docs do not say what it means and what to do", s.Code())
		}
	}
	for code := range rows {
		t.Errorf("docs/errors.md has %s, which is no error of ours", code)
	}
}

func TestErrorsKeepTheirIdentityAcrossTheWire(t *testing.T) {
	for _, s := range vstack.AllErrors() {
		w := httptest.NewRecorder()
		WriteError(w, fmt.Errorf("open slot 7: %w", s))
		if got := w.Header().Get("Content-Type"); got != ProblemType {
			t.Fatalf("%s: content type %q", s.Code(), got)
		}
		if (w.Header().Get("Retry-After") != "") != (w.Code == http.StatusServiceUnavailable || w.Code == http.StatusTooManyRequests) {
			t.Errorf("%s: status %d with Retry-After %q", s.Code(), w.Code, w.Header().Get("Retry-After"))
		}
		err := ReadError(w.Result())
		if !errors.Is(err, s) || !IsStatus(err, statuses[s]) {
			t.Errorf("%s: read back as %v", s.Code(), err)
		}
		if !strings.Contains(err.Error(), "open slot 7") {
			t.Errorf("%s: the detail is lost in %q", s.Code(), err)
		}
	}
}

func TestAnErrorWithoutACodeIsInternal(t *testing.T) {
	if p := ProblemOf(errors.New("boom")); p.Code != vstack.ErrInternal.Code() || p.Status != http.StatusInternalServerError {
		t.Errorf("described as %+v", p)
	}
}

func TestForeignErrorPagesGetACodeFromTheirStatus(t *testing.T) {
	for status, want := range map[int]*vstack.Sentinel{
		404: vstack.ErrNotFound, 410: vstack.ErrNotFound, 413: vstack.ErrTooLarge, 418: vstack.ErrInvalid,
		500: vstack.ErrInternal, 502: vstack.ErrUnavailable, 503: vstack.ErrUnavailable, 504: vstack.ErrTimeout,
	} {
		w := httptest.NewRecorder()
		w.WriteHeader(status)
		fmt.Fprint(w, "<html>a proxy's page</html>")
		if err := ReadError(w.Result()); !errors.Is(err, want) || !IsStatus(err, status) {
			t.Errorf("status %d read as %v, want %s", status, err, want.Code())
		}
	}
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusConflict)
	fmt.Fprint(w, `{"code":"FROM_THE_FUTURE"}`)
	if err := ReadError(w.Result()); !errors.Is(err, vstack.ErrInternal) {
		t.Errorf("an unknown code read as %v, want INTERNAL", err)
	}
}

func TestErrorBodiesAreReadUpToABound(t *testing.T) {
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusBadGateway)
	fmt.Fprint(w, strings.Repeat("x", 10*maxProblem))
	err := ReadError(w.Result())
	if len(err.Error()) > maxProblem+1024 {
		t.Errorf("an error text of %d bytes", len(err.Error()))
	}
}

func FuzzReadError(f *testing.F) {
	body, _ := json.Marshal(ProblemOf(vstack.ErrNotFound))
	f.Add(404, body)
	f.Add(500, []byte("not JSON"))
	f.Add(503, []byte(`{"code":1}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		w := httptest.NewRecorder()
		w.Body.Write(body)
		resp := w.Result()
		resp.StatusCode = status
		err := ReadError(resp)
		if err == nil || vstack.SentinelOf(err) == nil || err.Error() == "" {
			t.Fatalf("status %d, body %q read as %v", status, body, err)
		}
	})
}
