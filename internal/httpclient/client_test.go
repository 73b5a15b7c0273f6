package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/vstack/vstack/internal/network"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// silent is a network of hosts that were stopped: their kernels take connections and what
// fits into a socket's buffer, and nothing comes back.
type silent struct {
	network.Network
	refuse bool // not even the connection comes about
}

func (s silent) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if s.refuse {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	go func() { // ends with the connection
		_, _ = io.CopyN(io.Discard, far, 1<<16)
		_, _ = far.Read(make([]byte, 0))
	}()
	return near, nil
}

func TestAStoppedHostHoldsNoCall(t *testing.T) {
	for name, n := range map[string]silent{"that takes connections": {}, "that takes none": {refuse: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(Config{TLS: &tls.Config{ServerName: "host"}, Network: n})
				defer c.Close()
				began := time.Now()
				err := c.JSON(t.Context(), http.MethodGet, "https://host:1/v1/inventory", nil, nil)
				if took := time.Since(began); took > 3*DefaultDialTimeout || !errors.Is(err, vstack.ErrTimeout) {
					t.Errorf("after %v: %v, want a timeout within %v", took, err, 3*DefaultDialTimeout)
				}
			})
		})
	}
}

// against makes a client of one server that waits no longer than it must.
func against(t *testing.T, h http.HandlerFunc) (*Client, string) {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	c := New(Config{TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig, HeaderTimeout: 200 * time.Millisecond, StallTimeout: 200 * time.Millisecond})
	t.Cleanup(c.Close)
	return c, srv.URL
}

func get(t *testing.T, c *Client, method, url string, body io.Reader) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req)
}

func TestAHostThatStopsInTheMiddle(t *testing.T) {
	t.Run("gives no header", func(t *testing.T) {
		c, url := against(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		if _, err := get(t, c, http.MethodGet, url, nil); !errors.Is(err, vstack.ErrTimeout) {
			t.Errorf("%v, want a timeout", err)
		}
	})
	t.Run("gives half a body", func(t *testing.T) {
		c, url := against(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "half ")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		resp, err := get(t, c, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); !errors.Is(err, vstack.ErrTimeout) || string(got) != "half " {
			t.Errorf("%q, %v, want the half and a timeout", got, err)
		}
	})
	t.Run("takes half a body", func(t *testing.T) {
		stop := make(chan struct{})
		defer close(stop)
		c, url := against(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<10)
			<-stop
		})
		if _, err := get(t, c, http.MethodPost, url, io.LimitReader(zeros{}, 1<<30)); !errors.Is(err, vstack.ErrTimeout) {
			t.Errorf("%v, want a timeout", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestASlowBodyIsNoStall reads a body that takes longer than the timeout, in pieces that
// do not, and by a reader that takes its time between them.
func TestASlowBodyIsNoStall(t *testing.T) {
	const pieces = 6
	c, url := against(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for range pieces {
			<-tick.C
			_, _ = io.WriteString(w, "piece")
			_ = http.NewResponseController(w).Flush()
		}
	})
	c.stall = 10 * time.Second
	resp, err := get(t, c, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := resp.Body.(*body)
	if b.clock.Stop() {
		t.Error("the clock runs while nobody reads")
	}
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != strings.Repeat("piece", pieces) {
		t.Errorf("%q, %v", got, err)
	}
	if b.clock.Stop() {
		t.Error("the clock runs behind the body's end")
	}
}

func TestJSON(t *testing.T) {
	c, url := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			wire.WriteError(w, vstack.ErrNotFound)
			return
		}
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("content type %q", got)
		}
		_, _ = io.Copy(w, r.Body)
	})
	var got struct{ A int }
	if err := c.JSON(t.Context(), http.MethodPost, url, strings.NewReader(`{"a":7}`), &got); err != nil || got.A != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := c.JSON(t.Context(), http.MethodDelete, url, nil, nil); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("refusal: %v, want NOT_FOUND", err)
	}
	if err := c.JSON(t.Context(), http.MethodPost, url, strings.NewReader(`{`), &got); err == nil {
		t.Error("half an object was read")
	}
}
