package membership

import (
	"slices"
	"testing"

	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

func TestADiskIsSlowForAWhileOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		pace disk.Pace
		want bool
	}{
		"nothing written":          {disk.Pace{}, false},
		"a good disk":              {disk.Pace{Slow: 0, Stalls: 0, Writes: 900}, false},
		"one hiccup, however long": {disk.Pace{Slow: 0.3, Stalls: 1, Writes: 900}, false},
		"hiccups now and then":     {disk.Pace{Slow: 0.1, Stalls: 8, Writes: 900}, false},
		"one hiccup after another": {disk.Pace{Slow: 0.3, Stalls: 3, Writes: 900}, true},
		"all writes slow":          {disk.Pace{Slow: 0.97, Stalls: 20, Writes: 20}, true},
	} {
		if got := slow(tc.pace); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTheBetterDisk(t *testing.T) {
	peer := func(id string, slow float64, change ...func(*wire.RaftPeer)) wire.RaftPeer {
		p := wire.RaftPeer{ID: id, Voter: true, Reached: true, Term: 7, LastIndex: 1000, Commit: 1000, LastContact: 0.01, DiskSlow: slow, DiskWrites: 50}
		for _, f := range change {
			f(&p)
		}
		return p
	}
	lead := func(slow float64) wire.RaftPeer {
		return peer("h1", slow, func(p *wire.RaftPeer) { p.LastContact = 0 })
	}
	silent := func(p *wire.RaftPeer) { *p = wire.RaftPeer{ID: p.ID, Voter: true} }
	joining := func(p *wire.RaftPeer) { p.Voter = false }
	for name, tc := range map[string]struct {
		peers []wire.RaftPeer
		want  string // empty: nobody
	}{
		"the quickest":                         {[]wire.RaftPeer{lead(0.9), peer("h2", 0.1), peer("h3", 0.02)}, "h3"},
		"of two alike the one further":         {[]wire.RaftPeer{lead(0.9), peer("h2", 0, func(p *wire.RaftPeer) { p.LastIndex++ }), peer("h3", 0)}, "h2"},
		"the leader's place does not matter":   {[]wire.RaftPeer{peer("h2", 0), peer("h3", 0.1), lead(0.9)}, "h2"},
		"all disks are slow":                   {[]wire.RaftPeer{lead(0.9), peer("h2", 0.8), peer("h3", 0.9)}, ""},
		"all are, some less":                   {[]wire.RaftPeer{lead(0.9), peer("h2", 0.3), peer("h3", 0.3)}, ""},
		"a majority would wait for slow ones":  {[]wire.RaftPeer{lead(0.9), peer("h2", 0.7), peer("h3", 0)}, ""},
		"a majority is quick":                  {[]wire.RaftPeer{lead(0.9), peer("h2", 0.7), peer("h3", 0), peer("h4", 0), peer("h5", 0.01)}, "h3"},
		"no majority of five is":               {[]wire.RaftPeer{lead(0.9), peer("h2", 0.7), peer("h3", 0.7), peer("h4", 0), peer("h5", 0)}, ""},
		"one does not answer":                  {[]wire.RaftPeer{lead(0.9), peer("h2", 0, silent), peer("h3", 0)}, ""},
		"two members":                          {[]wire.RaftPeer{lead(0.9), peer("h2", 0)}, ""},
		"alone":                                {[]wire.RaftPeer{lead(0.9)}, ""},
		"the leader has recovered":             {[]wire.RaftPeer{lead(0.1), peer("h2", 0), peer("h3", 0)}, ""},
		"the leader's answer is missing":       {[]wire.RaftPeer{peer("h1", 0, silent), peer("h2", 0), peer("h3", 0)}, ""},
		"who has no vote does not count":       {[]wire.RaftPeer{lead(0.9), peer("h2", 0), peer("h3", 0.9), peer("h4", 0, joining)}, ""},
		"one that wrote nothing":               {[]wire.RaftPeer{lead(0.9), peer("h2", 0, func(p *wire.RaftPeer) { p.DiskWrites = 0 }), peer("h3", 0)}, ""},
		"one that lags":                        {[]wire.RaftPeer{lead(0.9), peer("h2", 0, func(p *wire.RaftPeer) { p.LastIndex = 1000 - joinLag - 1 }), peer("h3", 0)}, ""},
		"one of another term":                  {[]wire.RaftPeer{lead(0.9), peer("h2", 0, func(p *wire.RaftPeer) { p.Term++ }), peer("h3", 0)}, ""},
		"one that has not heard of its leader": {[]wire.RaftPeer{lead(0.9), peer("h2", 0, func(p *wire.RaftPeer) { p.LastContact = contactFresh.Seconds() }), peer("h3", 0)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(tc.peers)
			got, ok := betterDisk("h1", tc.peers)
			if got.ID != tc.want || ok != (tc.want != "") {
				t.Errorf("%q, %v; want %q", got.ID, ok, tc.want)
			}
			if !slices.Equal(before, tc.peers) {
				t.Error("the list was changed")
			}
		})
	}
}
