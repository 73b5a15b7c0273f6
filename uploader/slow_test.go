package uploader

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
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

// TestBodyThatOutlastsTheWindowIsTaken holds what failed once: a read that is under way
// at the end of a window is not a client that sends nothing.
func TestBodyThatOutlastsTheWindowIsTaken(t *testing.T) {
	for _, proto := range []string{"http/1.1", "h2"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			const window = time.Second
			c, dir := newCluster(), t.TempDir()
			h := startHost(t, c, dir, func(cfg *Config) { cfg.RateWindow = window })
			b, kind := body(t, clip(t, "h264.mp4"))
			pieces := 12
			slow := &drip{data: b.Bytes(), piece: b.Len()/pieces + 1, pause: func() { time.Sleep(window / 4) }}
			began := time.Now()
			status, out := h.postOver(t, proto, kind, slow)
			if status != http.StatusAccepted {
				t.Fatalf("after %s: %d %s", time.Since(began), status, out)
			}
			if took := time.Since(began); took < 2*window {
				t.Fatalf("took %s: shorter than two windows proves nothing", took)
			}
			waitFor(t, "the job has ended", func() bool { return h.load() == 0 })
			wantEmptySpool(t, dir)
		})
	}
}

func TestPauseOfAlmostAWindowIsBorneAndALongerOneSaid(t *testing.T) {
	const window = 2 * time.Second
	for _, proto := range []string{"http/1.1", "h2"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			c, dir := newCluster(), t.TempDir()
			h := startHost(t, c, dir, func(cfg *Config) { cfg.RateWindow = window })
			b, kind := body(t, clip(t, "h264.mp4"))
			half := b.Len()/2 + 1
			status, out := h.postOver(t, proto, kind, &drip{data: b.Bytes(), piece: half, pause: func() { time.Sleep(window * 3 / 4) }})
			if status != http.StatusAccepted {
				t.Errorf("a pause of 0.75 windows: %d %s", status, out)
			}
			gone := make(chan struct{})
			status, out = h.postOver(t, proto, kind, &drip{data: b.Bytes(), piece: half, pause: func() {
				select {
				case <-gone:
				case <-time.After(4 * window):
				}
			}})
			close(gone)
			if status != http.StatusBadRequest || !bytes.Contains(out, []byte(vstack.ErrTruncated.Code())) || !bytes.Contains(out, []byte("nothing came for 2s")) {
				t.Errorf("a pause of four windows: %d %s", status, out)
			}
		})
	}
}

// postOver is post over a protocol of its own choice.
func (h *host) postOver(t *testing.T, proto, kind string, body io.Reader) (int, []byte) {
	t.Helper()
	roots := &tls.Config{RootCAs: h.client.Transport.(*http.Transport).TLSClientConfig.RootCAs}
	speaks := new(http.Protocols)
	speaks.SetHTTP1(proto == "http/1.1")
	speaks.SetHTTP2(proto == "h2")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: roots, Protocols: speaks}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("https://"+h.Addr()+"/upload", kind, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if want := map[string]int{"http/1.1": 1, "h2": 2}[proto]; resp.ProtoMajor != want {
		t.Fatalf("spoke %s, want %s", resp.Proto, proto)
	}
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out
}
