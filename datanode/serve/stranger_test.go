package serve

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/vstack/vstack/internal/stranger"
	"github.com/vstack/vstack/internal/vstack"
)

// deafOverQUIC asks for chunks on one HTTP/3 connection whose windows are all but closed, and
// takes nothing of the answers.
func (r *rig) deafOverQUIC(t *testing.T, conf *tls.Config, ids []vstack.ChunkID, requests int) {
	t.Helper()
	tr := &http3.Transport{TLSClientConfig: conf, QUICConfig: &quic.Config{InitialStreamReceiveWindow: 1 << 10, MaxStreamReceiveWindow: 1 << 10,
		InitialConnectionReceiveWindow: 64 << 10, MaxConnectionReceiveWindow: 64 << 10, KeepAlivePeriod: time.Second}}
	t.Cleanup(func() { _ = tr.Close() })
	for i := range requests {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/chunks/"+ids[i%len(ids)].String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			resp, err := tr.RoundTrip(req)
			if err == nil {
				<-t.Context().Done()
				_ = resp.Body.Close()
			}
		}()
	}
}

// TestReadersThatTakeNothingStopNobody has one stranger hold all the memory that it can get,
// over either transport, while a client with a certificate reads. At cc9200c that client got
// 503 until the stranger's time was over.
func TestReadersThatTakeNothingStopNobody(t *testing.T) {
	for _, proto := range []string{"HTTP/2.0", "HTTP/3.0"} {
		t.Run(proto, func(t *testing.T) {
			r := newRig(t, func(c *Config, rc *ReaderConfig) { c.Gate = NewGate(1024); rc.Buffers = NewBuffers(32 << 20) })
			var ids []vstack.ChunkID
			var bodies [][]byte
			for n := range 8 {
				id, body := r.store.put(vstack.ChunkSize - n)
				ids, bodies = append(ids, id), append(bodies, body)
			}
			conf := r.client.ClientTLS()
			conf.Certificates, conf.GetClientCertificate = nil, nil
			if proto == "HTTP/3.0" {
				r.deafOverQUIC(t, conf, ids, 100)
			} else {
				deaf, err := stranger.DialDeaf(t.Context(), r.endpoint.Addr(), conf)
				if err != nil {
					t.Fatal(err)
				}
				defer deaf.Close()
				for i := range 100 {
					if err := deaf.Ask("/v1/chunks/" + ids[i%len(ids)].String()); err != nil {
						t.Fatal(err)
					}
				}
			}
			// Seven eighths; the rest is kept for the next that comes.
			waitFor(t, func() bool { return r.reader.cfg.Buffers.budget.Used() >= 28<<20 })
			for name, c := range r.clients(t) {
				for i := range 10 {
					resp, body := r.get(t, c, "GET", "/v1/chunks/"+ids[i%len(ids)].String(), nil)
					if resp.StatusCode != 200 || !bytes.Equal(body, bodies[i%len(ids)]) {
						t.Fatalf("an honest reader over %s got %d and %d bytes", name, resp.StatusCode, len(body))
					}
				}
			}
			if used := r.reader.cfg.Buffers.budget.Used(); used > 32<<20 {
				t.Errorf("%d bytes are lent of %d", used, 32<<20)
			}
		})
	}
}

// TestOneThatStandsStillGivesWay has a key use everything, and another come: what stands still
// ends within a second or two, long before its time is over.
func TestOneThatStandsStillGivesWay(t *testing.T) {
	r := newRig(t, func(c *Config, rc *ReaderConfig) {
		c.Gate = NewGate(1024)
		rc.Buffers = NewBuffers(16 << 20)
		rc.QueueTimeout = 20 * time.Second
	})
	var ids []vstack.ChunkID
	for n := range 8 {
		id, _ := r.store.put(vstack.ChunkSize - n)
		ids = append(ids, id)
	}
	conf := r.client.ClientTLS()
	conf.Certificates, conf.GetClientCertificate = nil, nil
	deaf, err := stranger.DialDeaf(t.Context(), r.endpoint.Addr(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	for _, id := range ids {
		if err := deaf.Ask("/v1/chunks/" + id.String()); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, func() bool { return r.reader.cfg.Buffers.budget.Used() >= 14<<20 })
	// Two of 8 MiB: more than the eighth that is kept.
	big, body := r.store.put(vstack.MaxChunkSize)
	began := time.Now()
	resp, got := r.get(t, r.client1(t, "HTTP/1.1", r.client.ClientTLS()), "GET", "/v1/chunks/"+big.String(), nil)
	if resp.StatusCode != 200 || !bytes.Equal(got, body) {
		t.Errorf("got %d and %d bytes after %v", resp.StatusCode, len(got), time.Since(began))
	}
	if _, reset := deaf.Answered(); reset == 0 {
		t.Error("none of those that stand still gave way")
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}
