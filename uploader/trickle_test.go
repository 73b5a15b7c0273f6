package uploader

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// from is a client at an address of this machine.
func (h *host) from(t *testing.T, ip string) *http.Client {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	tr := &http.Transport{
		TLSClientConfig: h.client.Transport.(*http.Transport).TLSClientConfig.Clone(),
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return d.DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// Bodies of one address that trickle kept everybody else from uploading.
func TestBodiesThatTrickleLeaveAPlaceForOthers(t *testing.T) {
	h := startHost(t, newCluster(), t.TempDir(), func(cfg *Config) { cfg.MaxReceiving = 8 })
	file := clip(t, "h264.mp4")
	_, kind := body(t, file)
	stranger := h.from(t, "127.0.0.2")
	ctx, cancel := context.WithCancel(t.Context())
	refused := make(chan *http.Response, 16)
	done := make(chan struct{}, 16)
	var pipes []*io.PipeWriter
	for range cap(done) {
		r, w := io.Pipe()
		pipes = append(pipes, w)
		go func() {
			defer func() { done <- struct{}{} }()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base+"/upload", r)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Content-Type", kind)
			if resp, err := stranger.Do(req); err == nil {
				refused <- resp
			}
		}()
	}
	defer func() {
		cancel()
		for _, w := range pipes {
			_ = w.Close() // a request waits for its body's reader, canceled or not
		}
		for range cap(done) {
			<-done
		}
	}()
	waitFor(t, "the stranger's bodies to hold what one may", func() bool { return h.receiving.Used() == 7 })
	resp := <-refused
	out, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !bytes.Contains(out, []byte(vstack.ErrTooManyUploads.Code())) {
		t.Errorf("one more of the stranger: %d %s", resp.StatusCode, out)
	}
	h.client = h.from(t, "127.0.0.3")
	acc := h.upload(t, file)
	h.finished(t, acc.Upload, wire.JobPublished)
}
