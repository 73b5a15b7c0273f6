package metastore

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/duties"
)

// beat sends a host's heartbeats until its context ends.
func (c *cluster) beat(ctx context.Context, host int) {
	id := c.issue(identity.Spec{ID: string(heartbeatOf(host, 1).Host), Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
	cl := c.clientAs(id)
	done := make(chan struct{})
	c.t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for lsn := vstack.LSN(1); ctx.Err() == nil; lsn++ {
			_, _ = cl.Heartbeat(ctx, heartbeatOf(host, lsn)) // a missed one is what the test is about
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
}

func states(m *vstack.PlacementMap) map[vstack.StoreState]int {
	out := map[vstack.StoreState]int{}
	for _, s := range m.Stores {
		out[s.State]++
	}
	return out
}

func TestSilentStoresGoDownAndComeBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, impatient)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	third, silence := context.WithCancel(ctx)
	c.beat(ctx, 0)
	c.beat(ctx, 1)
	c.beat(third, 2)
	cl := c.client()
	state := func(want map[vstack.StoreState]int) func() bool {
		return func() bool {
			m, err := cl.RefreshPlacement(ctx)
			if err != nil || len(m.Stores) != 6 {
				return false
			}
			got := states(m)
			return got[vstack.StoreUp] == want[vstack.StoreUp] && got[vstack.StoreSuspect] == want[vstack.StoreSuspect] && got[vstack.StoreDown] == want[vstack.StoreDown]
		}
	}
	c.eventually("six stores up", state(map[vstack.StoreState]int{vstack.StoreUp: 6}))
	silence()
	c.eventually("two suspect", state(map[vstack.StoreState]int{vstack.StoreUp: 4, vstack.StoreSuspect: 2}))
	c.eventually("two down", state(map[vstack.StoreState]int{vstack.StoreUp: 4, vstack.StoreDown: 2}))
	c.eventually("one host of three down", func() bool {
		nodes, err := cl.Nodes(ctx)
		return err == nil && len(nodes) == 3 && nodes[2].State == vstack.StoreDown && nodes[0].State == vstack.StoreUp && nodes[0].Version == "test" &&
			!nodes[0].LastSeen.IsZero() && nodes[0].Stores[0].Report != nil
	})
	c.beat(ctx, 2)
	c.eventually("six stores up again", state(map[vstack.StoreState]int{vstack.StoreUp: 6}))
	cancel()
}

// echoesOf is the highest LSN of each store that a leader has committed, as m knows it.
func echoesOf(m *member) map[vstack.StoreID]vstack.LSN {
	out := map[vstack.StoreID]vstack.LSN{}
	for _, s := range m.catalog.View().Stores() {
		out[s.ID] = s.Echo
	}
	return out
}

func TestANewLeaderRaisesNoFalseAlarm(t *testing.T) {
	t.Parallel()
	// A minute of silence before a store is suspect: what this machine delays is no reason.
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.EchoEvery = 50 * time.Millisecond
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for h := range 3 {
		c.beat(ctx, h)
	}
	cl := c.client()
	c.eventually("six stores", func() bool {
		m, err := cl.RefreshPlacement(ctx)
		return err == nil && len(m.Stores) == 6 && m.Ready() && duties.Covers(m)
	})
	before, err := cl.RefreshPlacement(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		lead := c.leader()
		c.stop(lead)
		echoes := echoesOf(c.members[c.leader()]) // of all terms before, and perhaps some of its own
		c.eventually("a new leader to have heard and judged every store", func() bool {
			now := echoesOf(c.members[c.leader()])
			for id, before := range echoes {
				if now[id] <= before {
					return false
				}
			}
			return len(now) == 6
		})
		c.start(lead)
	}
	m, err := cl.RefreshPlacement(ctx)
	if err != nil || m.Version != before.Version || states(m)[vstack.StoreUp] != 6 {
		t.Fatalf("version %d became %d, states %v, %v", before.Version, m.Version, states(m), err)
	}
	cancel()
}

func TestEchoSurvivesALeaderChange(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(cfg *Config) { cfg.EchoEvery = 50 * time.Millisecond })
	host := c.issue(identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}})
	cl := c.clientAs(host)
	beat := func(lsn vstack.LSN) wire.HeartbeatReply { return c.heartbeat(cl, heartbeatOf(0, lsn)) }
	if r := beat(500); r.Echo[storeID(0, 0)] != 500 || r.Index == 0 {
		t.Fatalf("reply %+v", r)
	}
	lead := c.leader()
	c.eventually("the echo to be committed on every member", func() bool {
		for _, m := range c.members {
			if s, ok := m.catalog.View().Store(storeID(0, 0)); !ok || s.Echo != 500 {
				return false
			}
		}
		return true
	})
	c.stop(lead)
	if r := beat(20); r.Echo[storeID(0, 0)] != 500 {
		t.Fatalf("a store that fell back to 20 is told %d", r.Echo[storeID(0, 0)])
	}
}

func TestACapacityThatMovesALittleWritesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.leader()
	cl := c.clientAs(c.issue(identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	capacity := func(report int64) int64 {
		hb := heartbeatOf(0, 1)
		hb.Stores[0].Capacity = report
		c.heartbeat(cl, hb)
		nodes, err := cl.Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return nodes[0].Stores[0].Capacity
	}
	capacity(1000 << 20)
	if got := capacity(960 << 20); got != 1000<<20 {
		t.Errorf("a disk that filled by 4 %% was registered again: %d", got)
	}
	if got := capacity(940 << 20); got != 940<<20 {
		t.Errorf("a disk that filled by 6 %% was not: %d", got)
	}
}

func TestStoresOfAnotherPastAreRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.register()
	cl := c.clientAs(c.issue(identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	beat := func(change func(*wire.StoreReport)) wire.HeartbeatReply {
		hb := heartbeatOf(0, 1)
		change(&hb.Stores[0])
		reply := c.heartbeat(cl, hb)
		if _, ok := reply.Echo[storeID(0, 1)]; !ok {
			t.Error("the host's other store got no answer")
		}
		return reply
	}
	own := beat(func(*wire.StoreReport) {})
	if own.Cluster.IsZero() || len(own.Refused) != 0 {
		t.Fatalf("reply to a new store: %+v", own)
	}
	for name, change := range map[string]func(*wire.StoreReport){
		"another cluster":   func(r *wire.StoreReport) { r.Cluster = vstack.ClusterID{9} },
		"a later catalog":   func(r *wire.StoreReport) { r.Cluster, r.Seen = own.Cluster, 1<<40 },
		"this very catalog": func(r *wire.StoreReport) { r.Cluster, r.Seen = own.Cluster, own.Index },
	} {
		r := beat(change)
		_, refused := r.Refused[storeID(0, 0)]
		_, echoed := r.Echo[storeID(0, 0)]
		if want := name != "this very catalog"; refused != want || echoed == want {
			t.Errorf("a store of %s: refused %v, echoed %v", name, refused, echoed)
		}
	}
}

func TestAStoreOnTwoHostsIsRefused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.leader()
	one := c.clientAs(c.issue(identity.Spec{ID: "h1", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	two := c.clientAs(c.issue(identity.Spec{ID: "h2", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	c.heartbeat(one, heartbeatOf(0, 1))
	// The copy alone is refused, by name; the host's own stores are heard.
	copied, own := heartbeatOf(0, 1), heartbeatOf(1, 1)
	copied.Host, copied.Stores = "h2", []wire.StoreReport{copied.Stores[0], own.Stores[0]}
	reply := c.heartbeat(two, copied)
	why := reply.Refused[copied.Stores[0].ID]
	if !strings.Contains(why, "copy") || !strings.Contains(why, "host h1") || len(reply.Refused) != 1 {
		t.Errorf("refused: %v", reply.Refused)
	}
	if _, echoed := reply.Echo[own.Stores[0].ID]; !echoed || len(reply.Echo) != 1 {
		t.Errorf("the host's own store is not heard: %+v", reply.Echo)
	}
	if st, _ := c.members[0].catalog.View().Store(copied.Stores[0].ID); st.Host != "h1" {
		t.Errorf("the store is host %s's now", st.Host)
	}
}

func TestViewsAreCountedOnAnyMemberInBatches(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(cfg *Config) { cfg.ViewsEvery = 2 * time.Second })
	c.register()
	ctx := t.Context()
	v, _, err := publish(ctx, c.client(), "watched", 1)
	if err != nil {
		t.Fatal(err)
	}
	index := c.members[c.leader()].catalog.View().Applied()
	c.eventually("all members to know the video", func() bool {
		for _, m := range c.members {
			if got, err := m.catalog.View().Video(v.ID); err != nil || got.State != vstack.VideoPublished {
				return false
			}
		}
		return true
	})
	const each = 40
	readers := make([]*metaclient.Client, 3)
	for i := range readers {
		readers[i] = c.client(i)
		for range each {
			if err := readers[i].AddViews(ctx, v.ID, 2); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.eventually("every view", func() bool {
		got, err := readers[0].Video(ctx, v.ID)
		return err == nil && got.Views == 3*each*2
	})
	if n := c.members[c.leader()].catalog.View().Applied() - index; n > 60 {
		t.Errorf("%d entries for %d requests: views are not batched", n, 3*each)
	}
	if err := readers[1].AddViews(ctx, v.ID, 1001); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("1,001 views: %v", err)
	}
	if err := readers[1].AddViews(ctx, vstack.VideoID{9}, 1); !errors.Is(err, vstack.ErrNotFound) {
		t.Errorf("views of an unknown video: %v", err)
	}
}

func TestViewsWaitForALeaderAndCountOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	ctx := t.Context()
	v, _, err := publish(ctx, c.client(), "watched", 1)
	if err != nil {
		t.Fatal(err)
	}
	lead := c.leader()
	one := (lead + 1) % 3
	c.eventually("the follower to know the video", func() bool {
		got, err := c.members[one].catalog.View().Video(v.ID)
		return err == nil && got.State == vstack.VideoPublished
	})
	c.stop(lead)
	c.stop((lead + 2) % 3) // no majority: nothing can be committed
	if err := c.client(one).AddViews(ctx, v.ID, 5); err != nil {
		t.Fatal(err)
	}
	c.eventually("a flush that was not confirmed", func() bool {
		return c.members[one].views.Unconfirmed() == 1
	})
	c.start(lead)
	c.eventually("the views", func() bool {
		got, err := c.members[one].catalog.View().Video(v.ID)
		return err == nil && got.Views == 5
	})
}

func TestARequestToCountViewsCountsOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	c.register()
	v, _, err := publish(t.Context(), c.client(), "watched", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "a", "b", "", "", "a"} {
		resp, body := c.ask(t, c.admin, 0, "POST", "/v1/videos/"+v.ID.String()+"/views", `{"count":10}`, map[string]string{wire.HeaderRequestID: id})
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	c.eventually("the views", func() bool {
		got, err := c.client().Video(t.Context(), v.ID)
		return err == nil && got.Views == 40
	})
}

// Whichever member it asks, and whatever it calls its requests.
func TestAStrangerCountsOnceAnHour(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	v, _, err := publish(t.Context(), c.client(), "watched", 1)
	if err != nil {
		t.Fatal(err)
	}
	path := "/v1/videos/" + v.ID.String() + "/views"
	c.eventually("all members to know the video", func() bool {
		for _, m := range c.members {
			if got, err := m.catalog.View().Video(v.ID); err != nil || got.State != vstack.VideoPublished {
				return false
			}
		}
		return true
	})
	lead := c.leader()
	for i := range 30 {
		resp, body := c.ask(t, c.reader(t), i%3, "POST", path, `{"count":1}`, nil)
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	resp, body := c.ask(t, c.reader(t), 0, "POST", path, `{"count":2}`, nil)
	wantProblem(t, "two at once", resp, body, vstack.ErrForbidden)
	if err := c.client((lead+1)%3).AddViews(t.Context(), v.ID, 1000); err != nil {
		t.Fatal(err)
	}
	c.eventually("the views", func() bool {
		got, err := c.client().Video(t.Context(), v.ID)
		return err == nil && got.Views > 1000
	})
	got, err := c.client().Video(t.Context(), v.ID)
	// On a busy machine an election may come between, and each leader's memory is its own.
	if err != nil || got.Views > 1000+3 {
		t.Errorf("%d views, %v; want 1,000, and of the stranger's 30 one for each memory of the hour", got.Views, err)
	}
}

func TestFeedHoldsUntilSomethingChanges(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	ctx := t.Context()
	follower := (c.leader() + 1) % 3
	cl := c.client(follower)
	var since uint64
	c.eventually("the feed to come to rest", func() bool {
		p, err := c.members[follower].catalog.View().Feed(since)
		if err != nil {
			t.Fatal(err)
		}
		since = p.Index
		return !p.More && p.Index >= c.members[c.leader()].catalog.View().FeedIndex()
	})
	got := make(chan wire.FeedPage, 1)
	go func() {
		// On a slow machine stores turn suspect meanwhile, and that is a page too.
		for {
			p, err := cl.Feed(ctx, since)
			if err != nil {
				t.Error(err)
			}
			if err != nil || len(p.Uploads) > 0 {
				got <- p
				return
			}
			since = p.Index
		}
	}()
	up, err := c.client().OpenUpload(ctx, wire.OpenUploadRequest{Owner: vstack.ProposerID{1}, Source: testSource("fed.mp4")})
	if err != nil {
		t.Fatal(err)
	}
	p := <-got
	if len(p.Uploads) != 1 || p.Uploads[0].ID != up.ID || len(p.Videos) != 1 || p.Index < up.Index {
		t.Fatalf("page %+v", p)
	}
}

func TestLinearizableReadsSeeEveryAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	ctx := t.Context()
	v, _, err := publish(ctx, c.client(), "v0", 1)
	if err != nil {
		t.Fatal(err)
	}
	cl := c.client()
	for i := range 15 {
		title := string(rune('a' + i))
		if _, err := cl.PatchVideo(ctx, v.ID, wire.VideoPatch{Title: &title}); err != nil {
			t.Fatal(err)
		}
		var resp *http.Response
		var body []byte
		c.eventually("an answer of the leader", func() bool {
			resp, body = c.ask(t, c.reader(t), i%3, "GET", "/v1/videos/"+v.ID.String()+"?consistency=linearizable", "", nil)
			return resp.StatusCode != http.StatusServiceUnavailable // an election on a busy machine
		})
		if resp.StatusCode != 200 || !containsTitle(body, title) {
			t.Fatalf("member %d after title %q: %d %s", i%3, title, resp.StatusCode, body)
		}
	}
	lead := c.leader()
	c.stop((lead + 1) % 3)
	c.stop((lead + 2) % 3)
	resp, body := c.request(t, c.reader(t), lead, "GET", "/v1/videos?consistency=linearizable", "", nil)
	wantProblem(t, "without a majority", resp, body, vstack.ErrNoLeader)
}
