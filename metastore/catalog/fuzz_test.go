package catalog

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/catalog/blobs"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/catalog/form"
	"github.com/vstack/vstack/metastore/catalog/rows"
)

// FuzzApply feeds log entries: whatever the bytes, the member either applies them the
// same way twice or halts.
func FuzzApply(f *testing.F) {
	for _, l := range []*raft.Log{
		entry(f, 1, command.OpenUpload, opening(1), "r"),
		entry(f, 1, command.Publish, command.PublishPayload{Upload: upload(0), Incarnation: 1, Manifest: manifestOf(0, 2)}, ""),
		entry(f, 1, command.RegisterStores, registration(7), ""),
		entry(f, 1, command.AssignPlacement, command.AssignPlacementPayload{Base: 4, Groups: plan(3)}, ""),
		entry(f, 1, command.SetLeaving, leave(2, vstack.LeaveOrdered, 0), "l"),
		entry(f, 1, command.PrepareEpochs, prepare(preparation(5, 1, 0, 1, 2, 0), preparation(6, 1, 0, 0, 2, 1)), "p"),
		entry(f, 1, command.ActivateEpochs, activate(change(5, 2, 1), change(0, 2, 1)), "a"),
		entry(f, 1, command.SetLiveness, command.SetLivenessPayload{States: []command.StoreLiveness{{ID: store(1), State: "down"}}}, ""),
		entry(f, 1, command.StepClass, command.StepClassPayload{Video: video(0), From: vstack.ClassHot, To: vstack.ClassCooling, Layout: layout}, "c"),
		entry(f, 1, command.PatchVideo, command.PatchVideoPayload{Video: video(0), Visibility: vstack.VisibilityPrivate, TokensFrom: whole}, "v"),
		entry(f, 1, command.ChangeTokenKeys, command.ChangeTokenKeysPayload{Add: tokenKey("k1")}, "k"),
	} {
		f.Add(l.Data)
	}
	f.Add([]byte(`{"type":"?","version":1}`))
	d := placed(f)
	d.must(command.OpenUpload, opening(0))
	d.must(command.PrepareEpochs, prepare(preparation(0, 1, 0, 0, 1, 2)))
	before, rows := checksum(f, d.c), d.c.View().meta.Sum
	f.Fuzz(func(t *testing.T, data []byte) {
		sums := [2]string{}
		for i := range sums {
			c := twin(t, d.c)
			var fatal error
			c.cfg.Fatal = func(err error) { fatal = err }
			res := c.Apply(&raft.Log{Index: 50, Type: raft.LogCommand, Data: data}).(*command.Result)
			sums[i] = checksum(t, c)
			if fatal != nil && sums[i] != before {
				t.Fatal("a halted member changed its catalog")
			}
			if fatal == nil && res.Code == "" && res.Index == 0 {
				t.Fatal("an applied command has no index")
			}
			// A snapshot costs many times the command, so only where there is news, and once.
			if fatal == nil && i == 0 && c.View().meta.Sum != rows {
				again := newCatalog(t)
				if err := again.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, c)))); err != nil || checksum(t, again) != sums[i] {
					t.Fatalf("the result does not survive a snapshot: %v", err)
				}
			}
		}
		if sums[0] != sums[1] {
			t.Fatal("two members differ")
		}
	})
}

// twin is another catalog with the same state, whose tables are immutable trees: to build
// the state from commands takes more than ten times as long.
func twin(t testing.TB, c *Catalog) *Catalog {
	t.Helper()
	out := newCatalog(t)
	out.db.Store(c.db.Load().Snapshot())
	out.blobs = c.blobs
	maps.Copy(out.requests, c.requests)
	return out
}

// FuzzRestore feeds snapshots.
func FuzzRestore(f *testing.F) {
	d := placed(f)
	d.publish(1, 2)
	f.Add(snapshotOf(f, d.c))
	d.must(command.SetLeaving, leave(1, vstack.LeaveOrdered, 0))
	d.must(command.PrepareEpochs, prepare(preparation(0, 1, 0, 0, 1, 2)))
	f.Add(snapshotOf(f, d.c))
	d.raise(vstack.LevelManifests)
	f.Add(snapshotOf(f, d.c))
	parted := partedOf(f, d.c)
	f.Add(parted)
	f.Add([]byte(form.Magic))
	f.Add([]byte(form.Magic + "\xff\xff\xff\x01....m"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newCatalog(t)
		if m, digest, err := d.c.View().Manifest(video(1)); err == nil { // what is beside the snapshot
			blob, err := rows.AppendBlob(nil, m)
			if err := errors.Join(err, c.blobs.Put(blobs.Digest(digest), blob)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Restore(io.NopCloser(bytes.NewReader(b))); err != nil && bytes.Equal(b, parted) {
			t.Fatal(err)
		} else if err == nil {
			again := newCatalog(t)
			if err := again.Restore(io.NopCloser(bytes.NewReader(snapshotOf(t, c)))); err != nil || checksum(t, again) != checksum(t, c) {
				t.Fatalf("an accepted snapshot does not round-trip: %v", err)
			}
		}
	})
}
