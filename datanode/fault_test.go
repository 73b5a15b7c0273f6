package datanode

import (
	"bytes"
	"errors"
	"sync"
	"syscall"
	"testing"

	"github.com/vstack/vstack/chunkpaxos/message"
	"github.com/vstack/vstack/internal/vfs"
	"github.com/vstack/vstack/internal/vstack"
)

// TestNothingIsAcknowledgedAfterASyncError fails one fdatasync: what the kernel did
// with the pages is unknown, so the process must end and never retry.
func TestNothingIsAcknowledgedAfterASyncError(t *testing.T) {
	fault := vfs.NewFault(vfs.OS{})
	var once sync.Once
	c := newCluster(t, func(cfg *Config) { once.Do(func() { cfg.FS = fault }) })
	n, u, before := c.nodes[0], c.open(), random(1000)
	ref := c.put(u, 1, before, n)
	fault.Set(vfs.Rule{Op: "datasync", Nth: 1, Err: syscall.EIO})
	data := random(1000)
	if a, ok := n.send(c.accept(u, 2, data), data).(message.Accepted); ok {
		t.Fatalf("acknowledged: %+v", a)
	}
	if err := <-n.fatal; !errors.Is(err, syscall.EIO) {
		t.Errorf("fatal: %v", err)
	}
	// The disk works again, and still nothing may be acknowledged by this process.
	for range 3 {
		if a, ok := n.send(c.accept(u, 3, data), data).(message.Accepted); ok {
			t.Fatalf("acknowledged after a sync error: %+v", a)
		}
	}
	n.stop()
	n.start() // as a supervisor would
	n.ready()
	if resp, body := n.get("/v1/chunks/"+ref.ID.String(), nil); resp.StatusCode != 200 || !bytes.Equal(body, before) {
		t.Errorf("what was acknowledged before: %d", resp.StatusCode)
	}
	s, _ := n.send(message.Query{Slot: vstack.Slot{Video: u.Video, Seq: 1}}, nil).(message.SlotState)
	if s.Value.Chunk != ref.ID {
		t.Errorf("the vote acknowledged before: %+v", s)
	}
}
