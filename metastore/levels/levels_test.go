package levels

import (
	"strings"
	"testing"

	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/catalog"
)

func TestWhoHoldsUpARaise(t *testing.T) {
	type member struct {
		reached bool
		level   vstack.Level
	}
	type store struct {
		state vstack.StoreState
		heard bool
		level vstack.Level
	}
	whole := []member{{true, 2}, {true, 2}, {true, 2}}
	up := store{vstack.StoreUp, true, 2}
	for name, c := range map[string]struct {
		members []member
		stores  []store
		why     string // empty: it may be raised
	}{
		"nobody":                    {whole, []store{up, up}, ""},
		"an old member":             {[]member{{true, 2}, {true, 0}}, []store{up}, "member h1 knows level 1"},
		"a member that is silent":   {[]member{{true, 2}, {false, 0}}, []store{up}, "member h1 does not answer"},
		"an old store":              {whole, []store{up, {vstack.StoreUp, true, 1}}, "of host s1 knows level 1"},
		"a store of a new leader":   {whole, []store{up, {vstack.StoreUp, false, 0}}, "of host s1 has not reported"},
		"a suspect store":           {whole, []store{{vstack.StoreSuspect, true, 1}}, "of host s0 knows level 1"},
		"a lost store":              {whole, []store{up, {vstack.StoreDown, false, 0}}, ""},
		"a lost store that was old": {whole, []store{up, {vstack.StoreDown, true, 1}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var peers []wire.RaftPeer
			for i, m := range c.members {
				peers = append(peers, wire.RaftPeer{ID: "h" + string(rune('0'+i)), Reached: m.reached, Level: m.level})
			}
			var stores []catalog.Store
			for i, s := range c.stores {
				stores = append(stores, catalog.Store{Store: vstack.Store{ID: vstack.StoreID{byte(i)}, Host: vstack.HostID("s" + string(rune('0'+i))), State: s.state}})
			}
			r := Report(vstack.LevelFirst, peers, stores, func(id vstack.StoreID) (vstack.Level, bool) { return c.stores[id[0]].level, c.stores[id[0]].heard })
			want := vstack.LevelFormats
			if c.why != "" {
				want = vstack.LevelFirst
			}
			if r.Allowed != want {
				t.Errorf("may be raised to %d, want %d", r.Allowed, want)
			}
			if why := HoldUp(r, vstack.LevelFormats); (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
				t.Errorf("held up by %q, want %q", why, c.why)
			}
		})
	}
	raised := Report(vstack.LevelFormats, []wire.RaftPeer{{ID: "h0"}}, nil, nil)
	if raised.Allowed != vstack.LevelFormats {
		t.Errorf("a level that was raised may fall to %d", raised.Allowed)
	}
}
