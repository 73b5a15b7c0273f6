package live

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/vstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader follows a topic.
func reader(t *testing.T, h *Hub, topics ...string) (next func() string, leave func()) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.Serve(w, r, topics); err != nil {
			t.Error(err)
		}
	}))
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	return func() string {
			for lines.Scan() {
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
					return data
				}
			}
			return "ended"
		}, func() {
			resp.Body.Close()
			srv.Close()
		}
}

func TestAReaderGetsThePresentValueAndEachChange(t *testing.T) {
	var value, asked atomic.Int64
	h := New(Config{Every: time.Millisecond, Topics: map[string]Source{
		"n": func(context.Context) (any, error) { asked.Add(1); return value.Load(), nil },
	}})
	defer h.Close()
	next, leave := reader(t, h, "n")
	if got := next(); got != "0" {
		t.Errorf("first value %s", got)
	}
	value.Store(7)
	if got := next(); got != "7" {
		t.Errorf("after a change: %s", got)
	}
	leave()
	// Nothing is asked while nobody listens: the last goroutine of the topic ends.
	h.mu.Lock()
	readers := h.topics["n"].readers
	h.mu.Unlock()
	for deadline := time.Now().Add(time.Minute); readers > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a reader that left is still counted")
		}
		h.mu.Lock()
		readers = h.topics["n"].readers
		h.mu.Unlock()
	}
}

func TestASourceThatFailsSaysSo(t *testing.T) {
	h := New(Config{Topics: map[string]Source{"n": func(context.Context) (any, error) { return nil, errors.New("no leader") }}})
	defer h.Close()
	next, leave := reader(t, h, "n")
	defer leave()
	if got := next(); got != `{"error":"no leader"}` {
		t.Errorf("got %s", got)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	h := New(Config{MaxReaders: 1, Topics: map[string]Source{"n": func(context.Context) (any, error) { return 1, nil }}})
	_, leave := reader(t, h, "n")
	defer leave()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if err := h.Serve(httptest.NewRecorder(), r, []string{"n"}); !errors.Is(err, vstack.ErrUnavailable) {
		t.Errorf("a second reader: %v", err)
	}
	if err := New(Config{}).Serve(httptest.NewRecorder(), r, []string{"none"}); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("a topic that there is not: %v", err)
	}
	h.Close() // ends the stream
	if err := h.Serve(httptest.NewRecorder(), r, []string{"n"}); !errors.Is(err, vstack.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
