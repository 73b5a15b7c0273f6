package intake

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/vstack"
)

// drip reads as a slow link delivers: a piece, then a pause.
type drip struct {
	data  []byte
	piece int
	pause func() // before each piece but the first
	begun bool
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.data) == 0 {
		return 0, io.EOF
	}
	if d.begun {
		d.pause()
	}
	d.begun = true
	n := copy(p, d.data[:min(len(d.data), d.piece)])
	d.data = d.data[n:]
	return n, nil
}

// clockless is a guard's connection in a test without one.
type clockless struct{ http.ResponseWriter }

func TestGuardCountsOnlyTheTimeThatItWaitedForTheClient(t *testing.T) {
	const window = 200 * time.Millisecond
	data := bytes.Repeat([]byte("x"), 8)
	g := New(clockless{}, &drip{data: data, piece: 1, pause: func() {}}, 1<<20, 1000, window)
	p := make([]byte, 1)
	for range data { // the reader is slow, not the client: eight bytes in 1.6 windows
		if _, err := g.Read(p); err != nil {
			t.Fatal(err)
		}
		time.Sleep(window / 5)
	}
	if _, err := g.Read(p); err != io.EOF {
		t.Fatalf("end: %v", err)
	}
	g = New(clockless{}, &drip{data: data, piece: 1, pause: func() { time.Sleep(window / 3) }}, 1<<20, 1000, window)
	_, err := io.ReadAll(g)
	if !errors.Is(err, vstack.ErrTruncated) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("three bytes a window where 200 are wanted: %v", err)
	}
}

func TestGuardEndsABodyBeyondItsLimit(t *testing.T) {
	g := New(clockless{}, bytes.NewReader(make([]byte, 11)), 10, 1, time.Minute)
	if _, err := io.ReadAll(g); !errors.Is(err, vstack.ErrTooLarge) {
		t.Fatalf("11 bytes of 10: %v", err)
	}
}

func TestGuardBoundsABodyOfUnknownLength(t *testing.T) {
	g := New(httptest.NewRecorder(), bytes.NewReader(make([]byte, 101)), 100, 0, time.Minute)
	if _, err := io.ReadAll(g); !errors.Is(err, vstack.ErrTooLarge) {
		t.Errorf("101 bytes of 100: %v", err)
	}
	g = New(httptest.NewRecorder(), bytes.NewReader(make([]byte, 100)), 100, 0, time.Minute)
	if b, err := io.ReadAll(g); err != nil || len(b) != 100 {
		t.Errorf("100 bytes of 100: %d, %v", len(b), err)
	}
}

// TestStopAfterItsRequestTouchesNothing: tusd ends a body from a goroutine that outlives its
// request, whose writer has nothing behind it any more in HTTP/2.
func TestStopAfterItsRequestTouchesNothing(t *testing.T) {
	var g *Guard
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g = New(w, r.Body, 1<<20, 1, time.Second)
		defer g.Over()
		if _, err := io.Copy(io.Discard, g); err != nil {
			t.Error(err)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	resp, err := srv.Client().Post(srv.URL, "text/plain", bytes.NewReader(make([]byte, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Fatalf("asked over %s", resp.Proto)
	}
	srv.Close() // waits for the handler
	g.Stop()
	g.Ended()
}
