package readers

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

func TestReadersReadAndFailuresAreCounted(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(make([]byte, 1000)) // the reader judges
	}))
	defer srv.Close()
	l := Load{Readers: 300, TLS: srv.Client().Transport.(*http.Transport).TLSClientConfig, Size: 1000, For: 300 * time.Millisecond, Pid: os.Getpid(),
		URL: func(int) string { return srv.URL + "/yes" }}
	s, err := l.Run(t.Context())
	if err != nil || s.Failed > 0 || s.Rate == 0 || s.P99 < s.P50 || s.Peak < 1<<20 {
		t.Errorf("%+v, %v", s, err)
	}
	l.Readers, l.URL = 3, func(int) string { return srv.URL + "/no" }
	if s, err := l.Run(t.Context()); err != nil || s.Failed < 3 || s.First == nil {
		t.Errorf("%+v, %v", s, err)
	}
	if m, err := Memory(os.Getpid()); err != nil || m < 1<<20 {
		t.Errorf("%v bytes, %v", m, err)
	}
}
