package checkup

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vstack/vstack/deploy/doctor"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
)

// well is a cluster of three hosts of one store each with nothing to say about.
func well() Facts {
	f := Facts{Now: time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)}
	f.Raft = wire.RaftStatus{Leader: "h1", CanFail: 1}
	f.Levels = wire.LevelReport{Level: 4, Newest: 4, Allowed: 4}
	for i, h := range []string{"h1", "h2", "h3"} {
		f.Raft.Peers = append(f.Raft.Peers, wire.RaftPeer{ID: h, Voter: true, Reached: true})
		st := vstack.Store{ID: vstack.StoreID{byte(i + 1)}, Host: vstack.HostID(h), Addr: h + ":8081", State: vstack.StoreUp, Capacity: 1000}
		f.Nodes = append(f.Nodes, wire.Node{Host: vstack.HostID(h), State: vstack.StoreUp, Version: "v1",
			Stores: []wire.NodeStore{{Store: st, Report: &wire.StoreReport{Used: 100, Chunks: 10}}}})
		f.Levels.Members = append(f.Levels.Members, wire.ReportedLevel{ID: h, Host: vstack.HostID(h), Level: 4})
		f.Doors = append(f.Doors, Door{Host: h, Addr: h + ":8081"}, Door{Host: h, Addr: h + ":9081", Pages: true})
		f.Listeners = append(f.Listeners, Listener{Host: h, Addr: h + ":8080", NotAfter: f.Now.AddDate(1, 0, 0), Clock: time.Second})
	}
	return f
}

func TestAWellClusterHasNothingToMend(t *testing.T) {
	findings := Judge(well())
	for _, f := range findings {
		if f.State != doctor.OK || f.Fix != "" {
			t.Errorf("%+v", f)
		}
	}
	if len(findings) < 5 {
		t.Errorf("only %d things were judged", len(findings))
	}
	if got := Summary(well()); got != "3 hosts, 3 stores, leader h1, feature level 4; 30 chunks in 300 B" {
		t.Errorf("summary %q", got)
	}
}

// TestAHostThatIsAwayIsSaidOnce: its listeners are away with it, and its version is not known.
func TestAHostThatIsAwayIsSaidOnce(t *testing.T) {
	f := well()
	f.Nodes[2].Stores[0].State, f.Nodes[2].Version = vstack.StoreDown, ""
	f.Listeners[2] = Listener{Host: "h3", Addr: "h3:8080", Err: errors.New("refused")}
	f.Doors[4].Err, f.Doors[5].Err = errors.New("timeout"), errors.New("timeout")
	for _, got := range Judge(f) {
		if strings.HasPrefix(got.Check, "listener") || strings.HasPrefix(got.Check, "udp") && got.State != doctor.OK || strings.Contains(got.Detail, "versions") {
			t.Errorf("%+v", got)
		}
	}
}

// secondStore has host h2 a store that is down, and another answer at its address.
func secondStore(f *Facts, instead vstack.StoreID) {
	st := vstack.Store{ID: vstack.StoreID{9}, Host: "h2", Addr: "h2:8082", State: vstack.StoreDown}
	f.Nodes[1].Stores = append(f.Nodes[1].Stores, wire.NodeStore{Store: st})
	f.Places = append(f.Places, Place{Addr: st.Addr, Store: instead})
}

func TestWhatIsNotWellIsSaidWithWhatMendsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*Facts)
		state doctor.State
		check string
		said  string
		fix   string
	}{
		"no leader":        {func(f *Facts) { f.Raft.Leader = "" }, doctor.Fail, "metadata", "no leader", "start"},
		"nobody answers":   {func(f *Facts) { f.RaftErr = errors.New("refused") }, doctor.Fail, "metadata", "refused", "start"},
		"catalogs differ":  {func(f *Facts) { f.Raft.Diverged = true }, doctor.Fail, "metadata", "different catalogs", "runbook"},
		"a member is away": {func(f *Facts) { f.Raft.Peers[1].Reached = false }, doctor.Warn, "member h2", "does not answer", "vstack raft remove h2 --yes"},
		"a damaged member": {func(f *Facts) {
			f.Raft.Peers[1].Reached, f.Raft.Peers[1].Standing, f.Raft.Peers[1].Detail = false, "damaged", "raft.db is rotten. vstack raft remove h2 --yes"
		}, doctor.Warn, "member h2", "damaged: raft.db is rotten", "vstack raft remove h2 --yes"},
		"a member that waits": {func(f *Facts) {
			f.Raft.Peers[1].Reached, f.Raft.Peers[1].Standing, f.Raft.Peers[1].Detail = false, "joining", "waits to be added: vstack raft add h2"
		}, doctor.Warn, "member h2", "joining: waits to be added: vstack raft add h2", ""},
		"none more may fail":          {func(f *Facts) { f.Raft.CanFail = 0 }, doctor.Warn, "metadata", "0 more may fail", "vstack raft add"},
		"a slow log":                  {func(f *Facts) { f.Raft.Peers[2].DiskSlow = 0.5 }, doctor.Warn, "member h3", "50 %", "disk of its own"},
		"a host is down":              {func(f *Facts) { f.Nodes[1].Stores[0].State = vstack.StoreDown }, doctor.Warn, "host h2", "down", "vstack node rm h2 --yes"},
		"one store of a host is down": {func(f *Facts) { secondStore(f, vstack.StoreID{}) }, doctor.Warn, "store h2:8082", "does not answer, its host does", "on h2: journalctl"},
		"a store's disk was replaced": {func(f *Facts) {
			secondStore(f, vstack.StoreID{10})
			f.Nodes[1].Stores = append(f.Nodes[1].Stores, wire.NodeStore{Store: vstack.Store{ID: vstack.StoreID{10}, Host: "h2", Addr: "h2:8082", State: vstack.StoreUp}})
		}, doctor.Warn, "store h2:8082", "is gone, a new one is in its place", "vstack store replace 09000000-0000-0000-0000-000000000000 --with 0a"},
		"a copied directory": {func(f *Facts) { secondStore(f, vstack.StoreID{1}) }, doctor.Warn, "store h2:8082", "a copy of that of store 01000000-0000-0000-0000-000000000000, which is that of host h1, at h1:8081", "move the directory aside"},
		"a store that was given up": {func(f *Facts) {
			f.Orders = []wire.StandingOrder{{Leaving: vstack.LeaveDead, State: vstack.StoreDown}}
		}, doctor.Warn, "store 0000", "does not run", "vstack store rm"},
		"groups without acceptors": {func(f *Facts) {
			f.Held = []wire.HeldGroup{{PG: 3, Acceptors: []wire.HeldAcceptor{{Host: "h2", State: "down"}, {Host: "h3", State: "forgot"}, {Host: "h1", State: "up"}}}}
		}, doctor.Fail, "groups", "down: h2; stores of these forgot votes: h3", "vstack group accept-loss"},
		"a store is full":       {func(f *Facts) { f.Nodes[0].Stores[0].Report.Full = true }, doctor.Fail, "store h1:8081", "full", "vstack store drain h1:8081"},
		"a store does not vote": {func(f *Facts) { f.Nodes[0].Stores[0].Report.Mute = "amnesic" }, doctor.Warn, "store h1:8081", "amnesic", ""},
		"copies are missing":    {func(f *Facts) { f.Nodes[2].Stores[0].Report.Missing = 7 }, doctor.Warn, "copies", "7 chunks are not yet", ""},
		"damage":                {func(f *Facts) { f.Nodes[2].Stores[0].Report.Corrupt = 2 }, doctor.Warn, "copies", "2 chunks are damaged", "scrub status"},
		"little space":          {func(f *Facts) { f.Nodes[0].Stores[0].Report.Used = 900 }, doctor.Warn, "store h1:8081", "900 B of 1000 B", "add a host"},
		"no space":              {func(f *Facts) { f.Nodes[0].Stores[0].Report.Used = 990 }, doctor.Fail, "store h1:8081", "990 B of 1000 B", "add a host"},
		"roles that go nowhere": {func(f *Facts) { f.Orders = []wire.StandingOrder{{Leaving: vstack.LeaveDead, Roles: 9, Stay: 4}} }, doctor.Warn, "store 0000", "4 of its 9 roles", "add a host"},
		"a drain that waits": {func(f *Facts) {
			f.Orders = []wire.StandingOrder{{Leaving: vstack.LeaveOrdered, Roles: 9, Waits: []string{"3 groups: x"}}}
		}, doctor.Warn, "store 0000", "waits: 3 groups: x", ""},
		"empty and gone":          {func(f *Facts) { f.Orders = []wire.StandingOrder{{Cordoned: true, State: vstack.StoreDown}} }, doctor.Warn, "store 0000", "does not run", "vstack store rm"},
		"balance is held":         {func(f *Facts) { f.Balance = wire.BalanceReport{State: vstack.BalanceHeld, Groups: 5} }, doctor.Warn, "balance", "5 groups", "vstack rebalance --auto"},
		"an older program":        {func(f *Facts) { f.Levels.Members[0].Level = 3 }, doctor.Warn, "level", "older program: h1", "docs/upgrade.md"},
		"programs that differ":    {func(f *Facts) { f.Nodes[1].Version = "v2" }, doctor.Warn, "level", "v1 on h1, h3; v2 on h2", "vstack upgrade"},
		"datagrams are lost":      {func(f *Facts) { f.Doors[2].Err = errors.New("timeout") }, doctor.Warn, "udp", "h2:8081, whose TCP answers", "h2:8081"},
		"pages are shut out":      {func(f *Facts) { f.Doors[3].Err = errors.New("timeout") }, doctor.Warn, "udp of pages", "h2:9081: web pages", "h2:9081"},
		"a certificate that ends": {func(f *Facts) { f.Listeners[1].NotAfter = f.Now.AddDate(0, 0, 3) }, doctor.Warn, "certificate h2", "2026-11-30", "vstack lab renew"},
		"a certificate that ended": {func(f *Facts) {
			f.Listeners[1].NotAfter = f.Now.AddDate(0, 0, -3)
			f.Listeners[1].Err = errors.New("x")
		}, doctor.Fail, "certificate h2", "2026-11-24", "vstack lab renew"},
		"a clock": {func(f *Facts) { f.Listeners[2].Clock = -time.Minute }, doctor.Warn, "clock h3", "-1m0s away", "set-ntp"},
		"a listener is away": {func(f *Facts) {
			f.Listeners[2] = Listener{Host: "h3", Addr: "h3:8080", Err: errors.New("dial tcp: connection refused")}
		}, doctor.Warn, "listener h3:8080", "does not answer: connection refused", "start host h3"},
	} {
		t.Run(name, func(t *testing.T) {
			f := well()
			tc.spoil(&f)
			for _, got := range Judge(f) {
				if strings.HasPrefix(got.Check, tc.check) && got.State == tc.state && strings.Contains(got.Detail, tc.said) && strings.Contains(got.Fix, tc.fix) {
					return
				}
			}
			t.Errorf("nothing of the kind in %+v", Judge(f))
		})
	}
}

// TestUploadsThatNobodyFinishesAreSaid: a host that never comes back leaves them open.
func TestUploadsThatNobodyFinishesAreSaid(t *testing.T) {
	said := func(f Facts) (out []string) {
		for _, got := range Judge(f) {
			if got.Check == "uploads" {
				out = append(out, got.Detail)
				if got.State != doctor.Warn || !strings.Contains(got.Fix, "vstack video") {
					t.Errorf("%+v", got)
				}
			}
		}
		return out
	}
	f := well()
	f.Uploading = []vstack.Video{{ID: vstack.VideoID{1}, Created: f.Now.Add(-7 * 24 * time.Hour)}, {ID: vstack.VideoID{2}, Created: f.Now.Add(-time.Minute)}}
	if got := said(f); len(got) != 0 {
		t.Errorf("what may still end: %q", got)
	}
	f.Uploading = append(f.Uploading, vstack.Video{ID: vstack.VideoID{3}, Created: f.Now.Add(-9 * 24 * time.Hour)}, vstack.Video{ID: vstack.VideoID{4}, Created: f.Now.Add(-30 * 24 * time.Hour)})
	if got := said(f); len(got) != 1 || !strings.HasPrefix(got[0], "2 open for longer than 8 days") || !strings.Contains(got[0], "video 04000000") || !strings.HasSuffix(got[0], "opened 2026-10-28") {
		t.Errorf("%q", got)
	}
	f = well()
	f.Uploading = make([]vstack.Video, 769)
	for i := range f.Uploading {
		f.Uploading[i].Created = f.Now
	}
	if got := said(f); len(got) != 1 || got[0] != "769 are open; above 1024 none is taken" {
		t.Errorf("%q", got)
	}
}
