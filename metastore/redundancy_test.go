package metastore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/duties"
)

// claiming are hosts of two stores each that say of every group that they lack nothing through
// the catalog's index, but for stores that are told to lack all that is newer than an index.
type claiming struct {
	c  *cluster
	mu sync.Mutex // guards lacks
	// lacks is the index through which a store is complete; absent: it lacks nothing.
	lacks map[vstack.StoreID]uint64
	// seen is the last reply to any.
	seen wire.HeartbeatReply
}

// claim has hosts beat until the test ends.
func (c *cluster) claim(hosts int) *claiming {
	c.t.Helper()
	k := &claiming{c: c, lacks: map[vstack.StoreID]uint64{}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	c.t.Cleanup(func() { cancel(); wg.Wait() })
	for h := range hosts {
		cl := c.clientAs(c.issue(identity.Spec{ID: string(heartbeatOf(h, 1).Host), Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
		wg.Go(func() {
			for beats := uint64(1); ctx.Err() == nil; beats++ {
				hb := heartbeatOf(h, vstack.LSN(beats))
				hb.Level, hb.Seq = vstack.NewestLevel, beats
				if m, err := cl.RefreshPlacement(ctx); err == nil {
					k.fill(&hb, m)
				}
				if reply, err := cl.Heartbeat(ctx, hb); err == nil { // a missed one is followed by the next
					k.mu.Lock()
					k.seen = reply
					k.mu.Unlock()
				}
				select {
				case <-ctx.Done():
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
	return k
}

func (k *claiming) fill(hb *wire.Heartbeat, m *vstack.PlacementMap) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range hb.Stores {
		st := &hb.Stores[i]
		for pg, g := range m.Groups {
			if g.Index(st.ID) < 0 || k.seen.Index == 0 {
				continue
			}
			c := wire.GroupClaim{PG: vstack.PG(pg), Epoch: g.Epoch, Complete: k.seen.Index, Readable: k.seen.Index, Surveyed: k.seen.Index}
			if through, lacks := k.lacks[st.ID]; lacks {
				c.Complete, c.Readable = min(through, c.Complete), min(through, c.Readable)
			}
			st.Claims = append(st.Claims, c)
		}
	}
}

func (k *claiming) reply() wire.HeartbeatReply {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen
}

// ready waits for a placement, and raises the level as an operator would where a leader that
// had not heard all stores yet began without.
func (k *claiming) ready() {
	k.c.t.Helper()
	cl := k.c.client()
	k.c.eventually("a placement at the newest level", func() bool {
		m, err := cl.RefreshPlacement(k.c.t.Context())
		if err != nil || !m.Ready() || !duties.Covers(m) || len(m.Stores) != 6 {
			return false
		}
		at, err := cl.RaiseLevel(k.c.t.Context(), vstack.NewestLevel)
		return err == nil && at.Level == vstack.NewestLevel
	})
}

// TestAVideoFollowsItsViews: it cools while nobody watches it, is hot again when many have, and
// cool again as their views decay; by the real driver, commands and clock.
func TestAVideoFollowsItsViews(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(cfg *Config) { cfg.PopularEvery = 50 * time.Millisecond })
	k := c.claim(3)
	k.ready()
	cl := c.client()
	ctx := t.Context()
	policy := vstack.DefaultRedundancy
	policy.HalfLife, policy.MinAge, policy.Dwell, policy.CoolBelow = vstack.MinHalfLife, 0, 0, 900
	if _, err := cl.SetRedundancy(ctx, wire.RedundancyRequest{Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	v, _, err := publish(ctx, cl, "film", 6)
	if err != nil {
		t.Fatal(err)
	}
	became := func(class vstack.StorageClass) vstack.Video {
		t.Helper()
		c.eventually("the film to be "+string(class), func() bool {
			v, err = cl.Video(ctx, v.ID)
			return err == nil && v.Class == class
		})
		return v
	}
	if v = became(vstack.ClassCold); v.ClassSince.IsZero() || v.Layout.Scheme != vstack.DefaultScheme {
		t.Errorf("cold: %+v", v)
	}
	// Views decay by the clock, also while a slow machine does nothing about them: more come until it has.
	views := int64(0)
	c.eventually("views to make the film hot", func() bool {
		if v, err = cl.Video(ctx, v.ID); err == nil && v.Class != vstack.ClassHot && v.Popularity <= policy.WarmAbove {
			if err = cl.AddViews(ctx, v.ID, 560); err == nil {
				views += 560
			}
		}
		return err == nil && v.Class == vstack.ClassHot
	})
	if v = became(vstack.ClassCold); v.Views < views || v.Popularity >= 900 {
		t.Errorf("cold again: %d views of %d, popularity %d", v.Views, views, v.Popularity)
	}
	// A pin comes first.
	if _, err := cl.SetClass(ctx, v.ID, wire.ClassRequest{Policy: vstack.PolicyHot}); err != nil {
		t.Fatal(err)
	}
	became(vstack.ClassHot)
	r, err := cl.Redundancy(ctx)
	if err != nil || r.Policy != policy || r.ToCool.Videos != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestWhatMayFailIsToldByWhatStoresSay, for a video and for all; it follows a store that lacks
// something, and one that is silent.
func TestWhatMayFailIsToldByWhatStoresSay(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, func(cfg *Config) { cfg.PopularEvery = 50 * time.Millisecond })
	k := c.claim(3)
	k.ready()
	cl := c.client()
	ctx := t.Context()
	v, _, err := publish(ctx, cl, "film", 40)
	if err != nil {
		t.Fatal(err)
	}
	bears := func(want wire.Bears) {
		t.Helper()
		c.eventually("the figures", func() bool {
			r, err := cl.Redundancy(ctx)
			pl, perr := cl.VideoPlacement(ctx, v.ID)
			return err == nil && perr == nil && r.Bears != nil && *r.Bears == want && pl.Held != nil && *pl.Held == want
		})
	}
	bears(wire.Bears{Hosts: 2, Stores: 2}) // three copies on three hosts
	k.mu.Lock()
	k.lacks[storeID(0, 0)], k.lacks[storeID(1, 0)] = v.Index-1, v.Index-1
	k.mu.Unlock()
	bears(wire.Bears{Hosts: 0, Stores: 0}) // in some group two of the three
	if pl, err := cl.VideoPlacement(ctx, v.ID); err != nil || pl.StoresCanFail != 2 {
		t.Errorf("by placement alone %d stores may fail, %v", pl.StoresCanFail, err)
	}
	c.eventually("stores to be told who has what", func() bool {
		return slices.ContainsFunc(k.reply().Short, func(s wire.GroupShort) bool { return len(s.Holders) > 0 && s.Holders[0] == v.Index-1 })
	})
	for _, want := range []string{"vstack_metastore_redundancy_stores_can_fail 0\n", `vstack_metastore_redundancy_videos{class="hot"} 1` + "\n", "vstack_metastore_redundancy_below_videos 1\n"} {
		c.eventually("the metrics to say "+strings.TrimSpace(want), func() bool { return strings.Contains(metricsOf(c), want) })
	}
}

// metricsOf reads the first member's.
func metricsOf(c *cluster) string {
	c.t.Helper()
	var b strings.Builder
	families, err := c.members[0].cfg.Registry.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			b.WriteString(f.GetName())
			for _, l := range m.Label {
				b.WriteString("{" + l.GetName() + `="` + l.GetValue() + `"}`)
			}
			if g := m.Gauge; g != nil {
				b.WriteString(" " + strconv.FormatFloat(g.GetValue(), 'g', -1, 64))
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// TestAPolicyIsRefusedOrPaused: what the cluster cannot keep is refused with the figures, and
// who is no administrator may not set it; a pause reaches the stores.
func TestAPolicyIsRefusedOrPaused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1, nil)
	k := c.claim(3)
	k.ready()
	cl := c.client()
	ctx := t.Context()
	policy := vstack.DefaultRedundancy
	policy.HostsCanFail = 2
	if _, err := cl.SetRedundancy(ctx, wire.RedundancyRequest{Policy: &policy}); !errors.Is(err, vstack.ErrTooFewTargets) || !strings.Contains(err.Error(), "bears the loss of 1 hosts (any 2 stores)") {
		t.Errorf("two hosts of three: %v", err)
	}
	if plan, err := cl.PlanRedundancy(ctx, &policy); err != nil || !strings.Contains(plan.Refused, "bears the loss of 1 hosts") || plan.Fragments != (wire.Bears{Hosts: 1, Stores: 2}) || len(plan.Schemes) < 5 {
		t.Errorf("its plan: %+v, %v", plan, err)
	}
	yes := true
	host := c.clientAs(c.issue(identity.Spec{ID: "h7", Role: identity.RoleHost, Addrs: []string{"127.0.0.1"}}))
	if _, err := host.SetRedundancy(ctx, wire.RedundancyRequest{Paused: &yes}); !errors.Is(err, vstack.ErrForbidden) {
		t.Errorf("a host pauses: %v", err)
	}
	if r, err := cl.SetRedundancy(ctx, wire.RedundancyRequest{Paused: &yes}); err != nil || !r.Paused {
		t.Fatalf("%+v, %v", r, err)
	}
	c.eventually("the stores to know it", func() bool { return k.reply().Paused })
	v, _, err := publish(ctx, cl, "film", 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cl.SetClass(ctx, v.ID, wire.ClassRequest{Policy: vstack.PolicyCold}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the pin to wait", func() bool {
		r, err := cl.Redundancy(ctx)
		return err == nil && r.Waits == 1 && r.Waiting[0].Video == v.ID && r.Waiting[0].Why == "moves are paused"
	})
	yes = false
	if _, err := cl.SetRedundancy(ctx, wire.RedundancyRequest{Paused: &yes}); err != nil {
		t.Fatal(err)
	}
	c.eventually("it to cool", func() bool {
		v, err = cl.Video(ctx, v.ID)
		return err == nil && v.Class == vstack.ClassCold
	})
}
