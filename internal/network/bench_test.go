//go:build linux

package network_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/network"
)

// BenchmarkBulk is what a body of 2 MiB over TLS costs the processor at both ends, in seconds a
// GB: sent by net/http alone, and gathered.
func BenchmarkBulk(b *testing.B) {
	const size = 2 << 20
	body := make([]byte, size)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10)) // the client sees the outcome
	}))
	defer srv.Close()
	conf := srv.Client().Transport.(*http.Transport).TLSClientConfig
	for _, way := range []struct {
		name string
		tr   *http.Transport
	}{
		{"alone", &http.Transport{TLSClientConfig: conf.Clone(), WriteBufferSize: 256 << 10}},
		{"gathered", &http.Transport{DialTLSContext: network.DialBulkTLS(network.OS{}, conf, time.Minute), WriteBufferSize: 32 << 10}},
	} {
		defer way.tr.CloseIdleConnections()
		b.Run(way.name, func(b *testing.B) {
			before := processor(b)
			b.SetBytes(size)
			for b.Loop() {
				resp, err := (&http.Client{Transport: way.tr}).Post(srv.URL, "application/octet-stream", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					b.Fatal(err, resp.Status)
				}
				if err := resp.Body.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((processor(b)-before)/(float64(b.N)*size/1e9), "processor-s/GB")
		})
	}
}

func processor(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
