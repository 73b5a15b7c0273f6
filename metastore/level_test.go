package metastore

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog/command"
	"github.com/vstack/vstack/metastore/duties"
)

// levelBeats sends a heartbeat for each of three hosts, whose programs know a level, and
// returns the clients that they use.
func (c *cluster) levelBeats(level vstack.Level) (hosts []*metaclient.Client) {
	c.t.Helper()
	for h := range 3 {
		as := c.issue(identity.Spec{ID: fmt.Sprintf("h%d", h+1), Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
		hosts = append(hosts, c.clientAs(as))
	}
	cl := c.client()
	c.eventually("placement over six stores", func() bool {
		for h := range 3 { // again and again, as hosts do: a leader that is elected meanwhile has heard none
			hb := heartbeatOf(h, 1)
			hb.Level = level
			c.heartbeat(hosts[h], hb)
		}
		m, err := cl.RefreshPlacement(c.t.Context())
		return err == nil && m.Ready() && duties.Covers(m) && len(m.Stores) == 6
	})
	return hosts
}

func TestAFreshClusterStartsAtTheNewestLevel(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, calm)
	c.levelBeats(vstack.NewestLevel)
	cl := c.client()
	r, err := cl.Levels(t.Context())
	if err != nil || r.Level != vstack.NewestLevel || len(r.Members) != 3 || len(r.Stores) != 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := cl.Level(); got != vstack.NewestLevel {
		t.Errorf("the client learned level %d of answers", got)
	}
	up, err := cl.OpenUpload(t.Context(), wire.OpenUploadRequest{Title: "film", Owner: vstack.ProposerID{1}})
	if err != nil {
		t.Fatal(err)
	}
	m := testManifest(up.Video, 2)
	m.Version, m.Tracks[0].DisplayWidth, m.Tracks[0].DisplayHeight = vstack.ManifestTable, 640, 360
	source := &wire.PublishedSource{Size: 9, SHA256: vstack.ChunkID{9}}
	if v, err := cl.Publish(t.Context(), up.ID, wire.PublishRequest{Incarnation: up.Incarnation, Manifest: m, Source: source}); err != nil || v.Source.Size != 9 {
		t.Fatalf("publish a manifest of version 2, and its source: %+v, %v", v.Source, err)
	}
	for i := range c.members {
		got, err := c.client(i).Manifest(t.Context(), up.Video)
		if err != nil || got.Tracks[0].DisplayWidth != 640 || len(got.Tracks[0].Chunks) != 2 {
			t.Errorf("member %d answers %+v, %v", i, got, err)
		}
	}
}

// TestAFreshClusterWaitsForWhoHasNotSaidItsLevel registers stores, as a first heartbeat does
// before it counts. A placement then would leave the cluster at its first level for ever.
func TestAFreshClusterWaitsForWhoHasNotSaidItsLevel(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, calm)
	lead := c.members[0]
	for h := range 3 {
		hb, reg := heartbeatOf(h, 1), command.RegisterStoresPayload{}
		for _, r := range hb.Stores {
			reg.Stores = append(reg.Stores, command.StoreRegistration{ID: r.ID, Addr: r.Addr, Capacity: r.Capacity})
		}
		reg.Host = hb.Host
		c.eventually("stores are registered", func() bool {
			_, err := lead.proposals.Propose(t.Context(), command.RegisterStores, reg, "", "")
			return err == nil
		})
	}
	if err := lead.raiseFresh(t.Context(), lead.catalog.View(), true); !errors.Is(err, vstack.ErrNotReady) || !strings.Contains(err.Error(), "has not reported to this leader") {
		t.Errorf("no store has said its level: %v", err)
	}
	c.levelBeats(vstack.NewestLevel)
	if r, err := c.client().Levels(t.Context()); err != nil || r.Level != vstack.NewestLevel {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestTheLevelIsRaisedByHandOnly goes through an upgrade: all hosts old, one new, all new,
// the raise, and an old one that returns.
func TestTheLevelIsRaisedByHandOnly(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, calm)
	hosts := c.levelBeats(0)
	cl, ctx := c.client(), t.Context()
	raise := func() error { _, err := cl.RaiseLevel(ctx, vstack.LevelFormats); return err }
	beat := func(h int, level vstack.Level) wire.HeartbeatReply {
		hb := heartbeatOf(h, 2)
		hb.Level = level
		return c.heartbeat(hosts[h], hb)
	}

	if _, err := hosts[0].RaiseLevel(ctx, vstack.LevelFormats); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("a host raises the level: %v", err)
	}
	// A manifest that the old ones could not read gets into no log, whatever the upload.
	_, up, err := publish(ctx, cl, "film", 1)
	if err != nil {
		t.Fatal(err)
	}
	m := testManifest(up.Video, 1)
	m.Tracks[0].Forced = true
	for _, version := range []int{vstack.ManifestFirst, vstack.ManifestTable} {
		m.Version = version
		if _, err := cl.Publish(ctx, up.ID, wire.PublishRequest{Incarnation: up.Incarnation, Manifest: m}); !errors.Is(err, vstack.ErrManifestInvalid) {
			t.Errorf("version %d below its level: %v", version, err)
		}
	}

	if err := raise(); !errors.Is(err, vstack.ErrLevelTooOld) || !strings.Contains(err.Error(), "of host h2 knows level 1") {
		t.Errorf("raised over old stores: %v", err)
	}
	beat(0, vstack.LevelFormats)
	beat(1, vstack.LevelFormats)
	if err := raise(); !errors.Is(err, vstack.ErrLevelTooOld) || strings.Contains(err.Error(), "h1") || !strings.Contains(err.Error(), "h3") {
		t.Errorf("raised over one old host: %v", err)
	}
	c.stop(2)
	for h := range 3 {
		beat(h, vstack.LevelFormats)
	}
	if err := raise(); !errors.Is(err, vstack.ErrLevelTooOld) || !strings.Contains(err.Error(), "member h3 does not answer") {
		t.Errorf("raised over a silent member: %v", err)
	}
	c.start(2)
	c.eventually("the raise", func() bool {
		for h := range 3 { // a new leader has heard nobody yet
			beat(h, vstack.LevelFormats)
		}
		return raise() == nil
	})
	if err := raise(); err != nil {
		t.Errorf("a repeat: %v", err)
	}

	hb := heartbeatOf(2, 3)
	reply := c.heartbeat(hosts[2], hb)
	if reply.Level != vstack.LevelFormats || !strings.Contains(reply.Refused[hb.Stores[0].ID], "older than the cluster's feature level") {
		t.Errorf("an old host is answered %+v", reply)
	}
	if reply := beat(2, vstack.LevelFormats); len(reply.Refused) != 0 {
		t.Errorf("its newer program is answered %+v", reply)
	}
	c.feedIsNotForOldReaders()
}

// feedIsNotForOldReaders asks for the feed as a program does that knows no levels.
func (c *cluster) feedIsNotForOldReaders() {
	c.t.Helper()
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: c.admin.ClientTLS()}}
	for level, want := range map[string]int{"": http.StatusConflict, "1": http.StatusConflict, "2": http.StatusOK, "3": http.StatusOK, "x": http.StatusBadRequest} {
		req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "https://"+c.peers[c.leader()].API+"/v1/feed?wait=0", nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if level != "" {
			req.Header.Set(wire.HeaderLevel, level)
		}
		resp, err := web.Do(req)
		if err != nil {
			c.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			c.t.Errorf("a reader that knows level %q is answered %s, want %d", level, resp.Status, want)
		}
	}
}
