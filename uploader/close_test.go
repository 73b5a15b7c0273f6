package uploader

import (
	"testing"
	"time"

	"github.com/vstack/vstack/uploader/spool"
)

// TestCloseWaitsForHandlers closes a server while a handler has received a file and waits
// for the catalog, longer than requests are waited for.
func TestCloseWaitsForHandlers(t *testing.T) {
	c, dir := newCluster(), t.TempDir()
	reached, release := make(chan struct{}), make(chan struct{})
	c.openGate = func() {
		close(reached)
		<-release
	}
	h := startHost(t, c, dir, nil)
	b, kind := body(t, clip(t, "h264.mp4"))
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		if resp, err := h.client.Post(h.base+"/v1/upload", kind, b); err == nil { // its connection was given up
			_ = resp.Body.Close()
		}
	}()
	<-reached
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		h.stop()
	}()
	select {
	case <-closed:
		t.Error("closed while a handler was at work on the spool")
	case <-time.After(closeGrace + time.Second): // longer than a request is waited for
	}
	if sp, err := spool.Open(dir, 0, nil); err == nil {
		t.Error("the spool was free while a handler was at work on it")
		_ = sp.Close()
	}
	close(release)
	<-closed
	<-posted
	sp, err := spool.Open(dir, 0, nil)
	if err != nil {
		t.Fatalf("closed, and the spool is not free: %v", err)
	}
	if err := sp.Close(); err != nil {
		t.Error(err)
	}
}
