package stranger

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestNoByteOfABodyPasses(t *testing.T) {
	wrote := make(chan int, 3)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		n, _ := w.Write(bytes.Repeat([]byte("x"), 1<<20))
		wrote <- n
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	conf := srv.Client().Transport.(*http.Transport).TLSClientConfig
	d, err := DialDeaf(t.Context(), strings.TrimPrefix(srv.URL, "https://"), conf)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := d.Ask("/"); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if n := <-wrote; n > 64<<10 {
			t.Errorf("%d bytes were taken", n)
		}
	}
	if begun, _ := d.Answered(); begun != 3 {
		t.Errorf("%d answers began, want 3", begun)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
