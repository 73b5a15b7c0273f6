package metastore

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/backup"
)

// wipeAll stops all members, empties their directories and starts them again.
func (c *cluster) wipeAll() {
	c.t.Helper()
	for i := range c.members {
		c.stop(i)
	}
	for i, p := range c.peers {
		if err := os.RemoveAll(filepath.Join(c.dir, p.ID)); err != nil {
			c.t.Fatal(err)
		}
		c.start(i)
	}
	c.leader()
}

func TestACatalogComesBackFromItsBackup(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	cl := c.client()
	ctx := t.Context()
	v, _, err := publish(ctx, cl, "kept", 3)
	if err != nil {
		t.Fatal(err)
	}
	open, err := cl.OpenUpload(ctx, wire.OpenUploadRequest{Owner: vstack.ProposerID{1}, Source: testSource("open")})
	if err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if err := cl.SaveSnapshot(ctx, &saved, ""); err != nil {
		t.Fatal(err)
	}
	info, err := backup.Inspect(bytes.NewReader(saved.Bytes()))
	if err != nil || !info.Leader || info.Counts.Published != 1 || info.Counts.Open != 1 {
		t.Fatalf("saved %+v, %v", info, err)
	}
	seen := c.members[0].catalog.View()
	before := seen.Placement()
	lost, err := cl.ResumeUpload(ctx, open.ID, wire.ResumeUploadRequest{Owner: vstack.ProposerID{2}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cl.RestoreSnapshot(ctx, bytes.NewReader(saved.Bytes()), int64(saved.Len())); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Fatalf("over a catalog that is not empty: %v", err)
	}
	c.wipeAll()
	fresh := c.client()

	hb := heartbeatOf(0, 1)
	hb.Stores[0].Cluster, hb.Stores[0].Seen = info.Cluster, lost.Index
	as := c.clientAs(c.issue(identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	c.eventually("a store of the lost catalog to be refused by an empty one", func() bool {
		reply, err := as.Heartbeat(ctx, wire.Heartbeat{Host: "h1", Stores: hb.Stores[:1]})
		if err != nil && !errors.Is(err, vstack.ErrNoLeader) { // a heartbeat is sent once; the next one follows
			t.Fatal(err)
		}
		return len(reply.Refused) == 1
	})
	bad := bytes.Clone(saved.Bytes())
	bad[len(bad)/2] ^= 1
	for what, b := range map[string][]byte{"changed": bad, "cut off": saved.Bytes()[:saved.Len()-1], "nothing": nil} {
		if _, err := fresh.RestoreSnapshot(ctx, bytes.NewReader(b), int64(len(b))); !errors.Is(err, vstack.ErrBackupInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := c.members[c.leader()].catalog.View().Counts(); n.Videos != 0 || n.Stores != 0 {
		t.Fatalf("a refused backup left %+v", n)
	}
	out, err := fresh.RestoreSnapshot(ctx, bytes.NewReader(saved.Bytes()), int64(saved.Len()))
	if err != nil || out.From != info.Index || out.Published != 1 || out.Aborted != 1 || out.Index <= lost.Index {
		t.Fatalf("restored %+v, %v", out, err)
	}
	restoredOnAll(t, c, out)
	if m, err := fresh.Manifest(ctx, v.ID); err != nil || len(m.Tracks[0].Chunks) != 3 {
		t.Errorf("manifest: %v", err)
	}
	if up, err := fresh.Upload(ctx, open.ID); err != nil || up.State != vstack.UploadAborted {
		t.Errorf("the open upload: %+v, %v", up, err)
	}
	if reply, err := as.Heartbeat(ctx, wire.Heartbeat{Host: "h1", Stores: hb.Stores[:1]}); err != nil || len(reply.Refused) != 0 || reply.Cluster != info.Cluster {
		t.Errorf("a store of the lost catalog, at the restored one: %+v, %v", reply, err)
	}
	up, err := fresh.OpenUpload(ctx, wire.OpenUploadRequest{Owner: vstack.ProposerID{1}, Source: testSource("after")})
	if err != nil || up.Incarnation <= lost.Incarnation {
		t.Errorf("incarnation %d after %d, %v", up.Incarnation, lost.Incarnation, err)
	}
	m, err := fresh.RefreshPlacement(ctx)
	if err != nil || m.Groups[5].Epoch <= before.Groups[5].Epoch || m.Version <= before.Version {
		t.Errorf("placement %d, epoch %d after %d: %v", m.Version, m.Groups[5].Epoch, before.Groups[5].Epoch, err)
	}
	// It stays, over a restart of all and a leader change.
	for i := range c.members {
		c.stop(i)
		c.start(i)
	}
	if _, err := fresh.Video(ctx, v.ID); err != nil {
		t.Error(err)
	}
	sameChecksum(t, c)
}

// restoredOnAll wants every member at the restored state, with its checksum.
func restoredOnAll(t *testing.T, c *cluster, out wire.RestoreReply) {
	t.Helper()
	for i, m := range c.members {
		c.eventually("the restored catalog on every member", func() bool { return m.catalog.View().Applied() >= out.Index })
		v := m.catalog.View()
		if sum, err := v.Checksum(); err != nil || v.Applied() == out.Index && sum != out.Checksum {
			t.Errorf("member %d at %d has %s, want %s at %d: %v", i, v.Applied(), sum, out.Checksum, out.Index, err)
		}
	}
}

func TestWhoMaySaveAndRestore(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register() // new stores have made a cluster of their own
	cl := c.client()
	lead := c.leader()
	var saved bytes.Buffer
	if err := cl.SaveSnapshot(t.Context(), &saved, c.peers[(lead+1)%3].ID); err != nil {
		t.Fatal(err)
	}
	if info, err := backup.Inspect(bytes.NewReader(saved.Bytes())); err != nil || info.Leader || info.Node != c.peers[(lead+1)%3].ID {
		t.Errorf("saved by a follower: %+v, %v", info, err)
	}
	if err := cl.SaveSnapshot(t.Context(), &saved, "h9"); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("of a stranger: %v", err)
	}
	resp, body := c.request(t, c.admin, (lead+1)%3, http.MethodGet, "/v1/raft/snapshot", "", nil)
	wantProblem(t, "the leader's catalog from a follower", resp, body, vstack.ErrNoLeader)
	resp, body = c.request(t, c.admin, (lead+1)%3, http.MethodPut, "/v1/raft/snapshot", "x", nil)
	wantProblem(t, "restore by a follower", resp, body, vstack.ErrNoLeader)
	resp, body = c.request(t, c.ids[0], lead, http.MethodPut, "/v1/raft/snapshot", "x", nil)
	wantProblem(t, "restore by a host", resp, body, vstack.ErrForbidden)
	other := newCluster(t, 1, nil)
	other.register()
	var foreign bytes.Buffer
	if err := other.client().SaveSnapshot(t.Context(), &foreign, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.RestoreSnapshot(t.Context(), &foreign, int64(foreign.Len())); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Errorf("another cluster's backup over a placement: %v", err)
	}
}
