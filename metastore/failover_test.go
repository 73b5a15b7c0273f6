package metastore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

func TestPublishThroughAFollowerSurvivesTheLeaderAndARestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	ctx := t.Context()
	lead := c.leader()
	follower := (lead + 1) % 3
	v, up, err := publish(ctx, c.client(follower), "through a follower", 10)
	if err != nil {
		t.Fatal(err)
	}
	if v.State != vstack.VideoPublished || v.Chunks != 11 || v.Size != 10<<20+700 || v.Published.IsZero() {
		t.Fatalf("published as %+v", v)
	}
	c.stop(lead)
	rest := c.client(follower, (lead+2)%3)
	got, err := rest.Video(ctx, v.ID)
	if err != nil || got.State != vstack.VideoPublished {
		t.Fatalf("after the leader's end: %+v, %v", got, err)
	}
	if _, _, err := publish(ctx, rest, "after the leader's end", 3); err != nil {
		t.Fatalf("write with two of three members: %v", err)
	}
	c.start(lead)
	own := c.client(lead)
	c.eventually("the restarted member to catch up", func() bool {
		vs, err := own.Videos(ctx, listAll)
		return err == nil && len(vs.Items) == 2
	})
	m, err := own.Manifest(ctx, v.ID)
	if err != nil || len(m.Tracks[0].Chunks) != 10 {
		t.Fatalf("manifest from the restarted member: %v", err)
	}
	for i := range c.members {
		c.stop(i)
	}
	for i := range c.members {
		c.start(i)
	}
	u, err := c.client().Upload(ctx, up.ID)
	if err != nil || u.State != vstack.UploadPublished {
		t.Fatalf("after a restart of all members: %+v, %v", u, err)
	}
	sameChecksum(t, c)
}

// sameChecksum waits until all live members are at one index, with one checksum.
func sameChecksum(t *testing.T, c *cluster) {
	t.Helper()
	c.eventually("one checksum on all members", func() bool {
		seen := map[string]bool{}
		for _, m := range c.members {
			if m == nil {
				continue
			}
			v := m.catalog.View()
			sum, err := v.Checksum()
			if err != nil {
				t.Fatal(err)
			}
			seen[fmt.Sprint(v.Applied(), sum)] = true
		}
		return len(seen) == 1
	})
}

func TestASingleMemberWorksAlone(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.register()
	ctx := t.Context()
	cl := c.client()
	v, _, err := publish(ctx, cl, "alone", 2)
	if err != nil {
		t.Fatal(err)
	}
	c.stop(0)
	c.start(0)
	if _, err := cl.Manifest(ctx, v.ID); err != nil {
		t.Fatalf("after a restart: %v", err)
	}
	st, err := cl.RaftStatus(ctx)
	if err != nil || st.Leader != "h1" || st.CanFail != 0 || len(st.Peers) != 1 || st.Checksum == "" {
		t.Fatalf("status %+v, %v", st, err)
	}
}

func TestStatusCountsWhatMayFail(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	lead := c.leader()
	cl := c.client((lead + 1) % 3)
	c.eventually("all members to be reached", func() bool {
		st, err := cl.RaftStatus(t.Context())
		return err == nil && st.CanFail == 1 && st.Leader == c.peers[lead].ID
	})
	c.stop((lead + 2) % 3)
	st, err := cl.RaftStatus(t.Context())
	if err != nil || st.CanFail != 0 {
		t.Fatalf("with one of three gone: %+v, %v", st, err)
	}
	for _, p := range st.Peers {
		if p.Reached != (p.ID != c.peers[(lead+2)%3].ID) || !p.Voter {
			t.Errorf("peer %+v", p)
		}
	}
}

func TestTransferHandsLeadershipOver(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	lead := c.leader()
	to := (lead + 1) % 3
	cl := c.client((lead + 2) % 3) // forwarded
	if err := cl.TransferLeader(t.Context(), c.peers[to].ID); err != nil {
		t.Fatal(err)
	}
	c.eventually("the new leader", func() bool { return c.members[to].Leading() })
	if err := cl.TransferLeader(t.Context(), "h9"); !errors.Is(err, vstack.ErrNotFound) {
		t.Fatalf("to an unknown member: %v", err)
	}
}

func TestOldIncarnationsAreFenced(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	ctx := t.Context()
	cl := c.client()
	up, err := cl.OpenUpload(ctx, wire.OpenUploadRequest{Owner: vstack.ProposerID{1}, Source: testSource("a.mp4")})
	if err != nil {
		t.Fatal(err)
	}
	again, err := cl.ResumeUpload(ctx, up.ID, wire.ResumeUploadRequest{Owner: vstack.ProposerID{2}})
	if err != nil {
		t.Fatal(err)
	}
	if again.Incarnation <= up.Incarnation || again.Index <= up.Index || again.Owner != (vstack.ProposerID{2}) || again.ID != up.ID {
		t.Fatalf("resumed %+v, opened %+v", again, up)
	}
	req := wire.PublishRequest{Incarnation: up.Incarnation, Manifest: testManifest(up.Video, 2)}
	if _, err := cl.Publish(ctx, up.ID, req); !errors.Is(err, vstack.ErrFenced) {
		t.Fatalf("publish of the old incarnation: %v", err)
	}
	if err := cl.AbortUpload(ctx, up.ID, up.Incarnation); !errors.Is(err, vstack.ErrFenced) {
		t.Fatalf("abort of the old incarnation: %v", err)
	}
	found, err := cl.Uploads(ctx, uploadsOf("a.mp4"))
	if err != nil || len(found) != 1 || found[0].Incarnation != again.Incarnation {
		t.Fatalf("open uploads of the file: %+v, %v", found, err)
	}
	req.Incarnation = again.Incarnation
	first, err := cl.Publish(ctx, up.ID, req)
	if err != nil {
		t.Fatal(err)
	}
	second, err := cl.Publish(ctx, up.ID, req) // another request id: idempotent by content
	if err != nil || second.Index != first.Index {
		t.Fatalf("the same publish again: %+v, %v", second, err)
	}
	if _, err := cl.ResumeUpload(ctx, up.ID, wire.ResumeUploadRequest{Owner: vstack.ProposerID{3}}); !errors.Is(err, vstack.ErrUploadNotLive) {
		t.Fatalf("resume after publish: %v", err)
	}
}
