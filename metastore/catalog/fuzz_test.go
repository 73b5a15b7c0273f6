package catalog

import (
	"bytes"
	"io"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

// FuzzApply feeds log entries: whatever the bytes, the member either applies them the
// same way twice or halts.
func FuzzApply(f *testing.F) {
	for _, l := range []*raft.Log{
		entry(f, 1, OpenUpload, opening(1), "r"),
		entry(f, 1, Publish, PublishPayload{Upload: upload(0), Incarnation: 1, Manifest: manifestOf(0, 2)}, ""),
		entry(f, 1, RegisterStores, registration(7), ""),
		entry(f, 1, AssignPlacement, AssignPlacementPayload{Base: 4, Groups: plan(3)}, ""),
		entry(f, 1, SetLeaving, leave(2, vstack.LeaveOrdered, 0), "l"),
		entry(f, 1, PrepareEpochs, prepare(preparation(5, 1, 0, 1, 2, 0), preparation(6, 1, 0, 0, 2, 1)), "p"),
		entry(f, 1, ActivateEpochs, activate(change(5, 2, 1), change(0, 2, 1)), "a"),
		entry(f, 1, SetLiveness, SetLivenessPayload{States: []StoreLiveness{{store(1), "down"}}}, ""),
	} {
		f.Add(l.Data)
	}
	f.Add([]byte(`{"type":"?","version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sums := [2]string{}
		for i := range sums {
			d := placed(t)
			d.must(OpenUpload, opening(0))
			d.must(PrepareEpochs, prepare(preparation(0, 1, 0, 0, 1, 2)))
			var fatal error
			d.c.cfg.Fatal = func(err error) { fatal = err }
			before := checksum(t, d.c)
			res := d.c.Apply(&raft.Log{Index: 50, Type: raft.LogCommand, Data: data}).(*Result)
			sums[i] = checksum(t, d.c)
			if fatal != nil && sums[i] != before {
				t.Fatal("a halted member changed its catalog")
			}
			if fatal == nil && res.Code == "" && res.Index == 0 {
				t.Fatal("an applied command has no index")
			}
			if fatal == nil {
				c := newCatalog(t)
				if err := c.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, d.c)))); err != nil || checksum(t, c) != sums[i] {
					t.Fatalf("the result does not survive a snapshot: %v", err)
				}
			}
		}
		if sums[0] != sums[1] {
			t.Fatal("two members differ")
		}
	})
}

// FuzzRestore feeds snapshots.
func FuzzRestore(f *testing.F) {
	d := placed(f)
	d.publish(1, 2)
	f.Add(snapshotOf(f, d.c))
	d.must(SetLeaving, leave(1, vstack.LeaveOrdered, 0))
	d.must(PrepareEpochs, prepare(preparation(0, 1, 0, 0, 1, 2)))
	f.Add(snapshotOf(f, d.c))
	f.Add([]byte(snapshotMagic))
	f.Add([]byte(snapshotMagic + "\xff\xff\xff\x01....m"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newCatalog(t)
		if c.Restore(io.NopCloser(bytes.NewReader(b))) == nil {
			again := newCatalog(t)
			if err := again.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, c)))); err != nil || checksum(t, again) != checksum(t, c) {
				t.Fatalf("an accepted snapshot does not round-trip: %v", err)
			}
		}
	})
}
