package serve

import (
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Headers that never end, on connections where others are good, had 512 × 128 streams of an
// address for ever.
func TestHalfHeadersOfAnAddressAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config, _ *ReaderConfig) { c.IdleTimeout = 30 * time.Second })
	cfg := r.client.ClientTLS()
	cfg.NextProtos = []string{http3.NextProtoH3}
	cfg.ServerName = "127.0.0.1"
	half := 0
	for n := range 2 * fewOfOne {
		conn, err := quic.DialAddr(t.Context(), r.endpoint.Addr(), cfg, &quic.Config{KeepAlivePeriod: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseWithError(0, "")
		good, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+livez, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http3.Transport{}).NewClientConn(conn).RoundTrip(good)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		opened := 0
		for ; ; opened++ {
			s, err := conn.OpenStream()
			if err != nil {
				break // there may be no more
			}
			if _, err = s.Write([]byte{0x01, 0x40, 0x80, 0x00}); err != nil {
				t.Fatal(err)
			}
		}
		half += opened
		if n >= fewOfOne && opened > crowded || n < fewOfOne && opened < 100 {
			t.Errorf("connection %d has %d streams", n, opened)
		}
	}
	if most := fewOfOne*129 + fewOfOne*crowded; half > most {
		t.Errorf("%d streams, want at most %d", half, most)
	}
}
