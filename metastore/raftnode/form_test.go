package raftnode

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/vstack"
)

func (g *group) stop(i int) {
	g.t.Helper()
	if err := g.nodes[i].Close(); err != nil {
		g.t.Fatal(err)
	}
	g.nodes[i] = nil
}

func (g *group) standing(i int, want Standing) string {
	g.t.Helper()
	var detail string
	g.eventually(string(want), func() bool {
		var is Standing
		is, detail = g.nodes[i].Standing()
		return is == want
	})
	return detail
}

func (g *group) apply(data string) {
	g.t.Helper()
	g.eventually("a write", func() bool {
		_, err := g.nodes[g.leader()].Apply(g.t.Context(), []byte(data))
		return err == nil
	})
}

// led has a leader among the first two do something, however often leadership moves.
func (g *group) led(what string, f func(*Node) error) {
	g.t.Helper()
	var err error
	for deadline := time.Now().Add(15 * time.Second); ; {
		lead := g.leader()
		if lead < 2 {
			if err = f(g.nodes[lead]); err == nil {
				return
			}
		} else {
			_ = g.nodes[lead].Transfer(g.peers[0].ID) // until it is caught up
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%s: %v", what, err)
		}
	}
}

func TestTheFirstStartWantsEveryMember(t *testing.T) {
	g := newGroup(t, 3)
	g.start(0)
	g.start(1)
	detail := ""
	g.eventually("the first two to have asked each other", func() bool {
		_, detail = g.nodes[0].Standing()
		return strings.HasSuffix(detail, "waiting for h3")
	})
	if len(g.nodes[0].Members()) != 0 || g.nodes[0].Term() != 0 {
		t.Fatalf("two of three have begun without the third: %+v", g.nodes[0].Status())
	}
	g.start(2)
	g.apply("x")
	if a, b := g.nodes[0].Genesis(), g.nodes[2].Genesis(); a == "" || a != b {
		t.Fatalf("clusters %q and %q", a, b)
	}
}

func TestAFounderThatIsLateFoundsTheSameCluster(t *testing.T) {
	g := newGroup(t, 3)
	g.startAll()
	g.apply("x")
	o := *g.nodes[2].origin.Load()
	g.stop(2)
	// As if it had been cut off before it heard that all were there.
	if err := os.RemoveAll(filepath.Join(g.dir, "h3")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(g.dir, "h3"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Genesis, o.Founders, o.Started = "", nil, false
	if err := writeOrigin(Config{Dir: filepath.Join(g.dir, "h3")}, o); err != nil {
		t.Fatal(err)
	}
	g.start(2)
	g.standing(2, Belongs)
	g.eventually("the late founder to follow", func() bool { return g.fsms[2].count() == 1 })
}

func TestListsThatDifferAreRefused(t *testing.T) {
	g := newGroup(t, 3)
	g.start(0, func(c *Config) { c.Peers = g.peers[:2] })
	g.start(1, func(c *Config) { c.Peers = g.peers[1:] })
	g.start(2)
	if detail := g.standing(0, Refused); !strings.Contains(detail, "h2 was started with another list") {
		t.Errorf("says %q", detail)
	}
	g.standing(2, Refused)
}

func TestAStrangerMovesNothing(t *testing.T) {
	g := newGroup(t, 3)
	g.start(0, func(c *Config) { c.Peers = g.peers[:2] })
	g.start(1, func(c *Config) { c.Peers = g.peers[:2] })
	lead := g.leader()
	term := g.nodes[lead].Term()
	// The third has a list of its own, of which one is in that cluster: it waits to be
	// added, and neither votes nor leads.
	g.start(2, func(c *Config) { c.Peers = g.peers[1:] })
	if detail := g.standing(2, Joining); !strings.Contains(detail, "vstack raft add h3 --raft "+g.peers[2].Addr+" --api "+g.peers[2].API) {
		t.Errorf("says %q", detail)
	}
	if conn, err := g.nodes[2].streams.Dial(raft.ServerAddress(g.peers[lead].Addr), time.Second); err == nil {
		conn.Close()
		t.Fatal("a stranger speaks Raft")
	}
	g.apply("x")
	if now := g.nodes[lead].Term(); now != term {
		t.Errorf("the stranger moved the term from %d to %d", term, now)
	}
}

func TestTwoClustersNeverSpeakToEachOther(t *testing.T) {
	g := newGroup(t, 2)
	g.start(0, func(c *Config) { c.Peers = g.peers[:1] })
	g.start(1, func(c *Config) { c.Peers = g.peers[1:] })
	g.standing(0, Belongs)
	g.standing(1, Belongs)
	for i, n := range g.nodes {
		if conn, err := n.streams.Dial(raft.ServerAddress(g.peers[1-i].Addr), time.Second); err == nil {
			conn.Close()
			t.Errorf("%s speaks to the other cluster", g.peers[i].ID)
		}
	}
}

func TestAWipedMemberComesBackAsANewOneOnly(t *testing.T) {
	for name, wipe := range map[string]string{"all of its directory": ".", "its log alone": "raft.db"} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 3)
			g.startAll()
			g.apply("x")
			was := Member{}
			g.led("lead", func(n *Node) error { was, _ = n.Member("h3"); return nil })
			g.stop(2)
			g.apply("y") // acknowledged by the first two
			if err := os.RemoveAll(filepath.Join(g.dir, "h3", wipe)); err != nil {
				t.Fatal(err)
			}
			g.start(2)
			detail := g.standing(2, Refused)
			if !strings.Contains(detail, "vstack raft remove h3 --yes") || !strings.Contains(detail, "vstack raft add h3 --raft "+g.peers[2].Addr) {
				t.Errorf("says %q", detail)
			}
			if n := g.nodes[2]; n.Term() != 0 || len(n.Members()) != 0 {
				t.Fatalf("it takes part: %+v", n.Status())
			}
			g.led("remove the old one", func(n *Node) error {
				if _, there := n.Member("h3"); !there {
					return nil // a try before did it
				}
				return n.Remove(t.Context(), was)
			})
			g.standing(2, Joining)
			is := Member{ID: "h3", Instance: g.nodes[2].origin.Load().Instance, Addr: g.peers[2].Addr, API: g.peers[2].API}
			if is.Instance == was.Instance {
				t.Fatal("a new directory with an old name")
			}
			g.led("add the new one", func(n *Node) error { return n.Add(t.Context(), is) })
			g.eventually("the new member to follow", func() bool { return g.fsms[2].count() == 2 })
			if m, _ := g.nodes[0].Member("h3"); m.Voter {
				t.Fatal("votes before it was promoted")
			}
			g.led("promote it", func(n *Node) error { return n.Promote(t.Context(), is) })
			g.eventually("three voters", func() bool { return len(g.nodes[2].Voters()) == 3 })
			g.stop(2)
			g.start(2)
			g.standing(2, Belongs)
			g.stop(0) // it votes: two of three are a majority
			g.apply("z")
		})
	}
}

// A directory whose origin is lost beside a log cannot say whose votes it holds.
func TestALogWithoutAnOriginIsRefused(t *testing.T) {
	g := newGroup(t, 1)
	g.start(0)
	g.apply("x")
	g.stop(0)
	if err := os.Remove(filepath.Join(g.dir, "h1", originFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(g.config(0)); !errors.Is(err, vstack.ErrCorrupt) {
		t.Fatalf("opened: %v", err)
	}
}

func TestAMemberLearnsThatItWasRemoved(t *testing.T) {
	g := newGroup(t, 4)
	for i := range 3 {
		g.start(i, func(c *Config) { c.Peers = g.peers[:3] })
	}
	g.apply("x")
	g.start(3, func(c *Config) { c.Join = true })
	g.standing(3, Joining)
	m := Member{ID: "h4", Instance: g.nodes[3].origin.Load().Instance, Addr: g.peers[3].Addr, API: g.peers[3].API}
	g.led("add", func(n *Node) error { return n.Add(t.Context(), m) })
	g.led("add again", func(n *Node) error { return n.Add(t.Context(), m) })
	g.led("promote", func(n *Node) error { return n.Promote(t.Context(), m) })
	again := m
	again.Instance = "another"
	if err := g.nodes[0].Add(t.Context(), again); !errors.Is(err, vstack.ErrAlreadyExists) {
		t.Errorf("a second instance beside the first: %v", err)
	}
	g.eventually("the fourth to follow", func() bool { return g.fsms[3].count() == 1 && len(g.nodes[3].Voters()) == 4 })
	g.led("refuse to remove itself", func(n *Node) error {
		if err := n.Remove(t.Context(), Member{ID: n.cfg.ID}); !errors.Is(err, vstack.ErrInvalid) {
			return fmt.Errorf("removed itself: %w", err)
		}
		return nil
	})
	g.led("remove", func(n *Node) error {
		if _, there := n.Member("h4"); !there {
			return nil
		}
		return n.Remove(t.Context(), m)
	})
	if detail := g.standing(3, Removed); !strings.Contains(detail, "vstack raft add h4") {
		t.Errorf("says %q", detail)
	}
	g.apply("y")
}

// Which of two answers is the later one, the length of their logs says.
func TestHelloTellsHowLongTheLogIs(t *testing.T) {
	g := newGroup(t, 1)
	g.start(0)
	g.leader()
	n, last := g.nodes[0], uint64(0)
	for range 3 {
		g.apply("x")
		h := n.hello(n.Genesis())
		if h.LastIndex <= last || h.LastIndex < n.Status().Commit || h.Term == 0 || len(h.Members) != 1 {
			t.Fatalf("after an entry more than %d: %+v", last, h)
		}
		last = h.LastIndex
	}
}

func TestDecide(t *testing.T) {
	peers := []Peer{{"h1", "a:1", "a:2"}, {"h2", "b:1", "b:2"}, {"h3", "c:1", "c:2"}}
	me := origin{ID: "h3", Instance: "i3", Raft: "c:1", API: "c:2"}
	founders := []Founder{{"h1", "i1", "a:1", "a:2"}, {"h2", "i2", "b:1", "b:2"}, {"h3", "i3", "c:1", "c:2"}}
	fresh := func(id, instance string) hello { return hello{ID: id, Instance: instance, List: listHash(peers)} }
	formed := func(f []Founder, members ...Member) hello {
		return hello{ID: "h1", Instance: "i1", Genesis: genesisOf(f), Founders: f, Members: members}
	}
	other := []Founder{founders[0], founders[1], {"h3", "old", "c:1", "c:2"}}
	at := func(term, last uint64, members ...Member) hello {
		h := formed(other, members...)
		h.Term, h.LastIndex = term, last
		return h
	}
	for name, tc := range map[string]struct {
		answers map[string]hello
		join    bool
		want    Standing
		founds  int
	}{
		"nobody answers":                                  {nil, false, Forming, 0},
		"one is missing":                                  {map[string]hello{"h1": fresh("h1", "i1")}, false, Forming, 0},
		"all are there":                                   {map[string]hello{"h1": fresh("h1", "i1"), "h2": fresh("h2", "i2")}, false, Belongs, 3},
		"all, and this one only joins":                    {map[string]hello{"h1": fresh("h1", "i1"), "h2": fresh("h2", "i2")}, true, Joining, 0},
		"all, and one of them only joins":                 {map[string]hello{"h1": fresh("h1", "i1"), "h2": {ID: "h2", Instance: "i2", Join: true}}, false, Forming, 0},
		"another has founded with us":                     {map[string]hello{"h1": formed(founders)}, false, Belongs, 3},
		"another has founded without us, and Raft starts": {map[string]hello{"h1": formed(other)}, false, Forming, 0},
		"the cluster knows an older one":                  {map[string]hello{"h1": formed(other, Member{ID: "h3", Instance: "old"}), "h2": fresh("h2", "i2")}, false, Refused, 0},
		"even if this one joins":                          {map[string]hello{"h1": formed(other, Member{ID: "h3", Instance: "old"})}, true, Refused, 0},
		"the cluster does not know it":                    {map[string]hello{"h1": formed(other, Member{ID: "h1", Instance: "i1"})}, false, Joining, 0},
		"it was added":                                    {map[string]hello{"h1": formed(other, Member{ID: "h3", Instance: "i3"})}, false, Belongs, 0},
		"one that catches up tells of an older one":       {map[string]hello{"h1": at(7, 3, Member{ID: "h3", Instance: "old"}), "h2": at(7, 9, Member{ID: "h1", Instance: "i1"})}, true, Joining, 0},
		"one that was removed does not know of this one":  {map[string]hello{"h1": at(6, 12, Member{ID: "h2", Instance: "i2"}), "h2": at(7, 9, Member{ID: "h3", Instance: "i3"})}, true, Belongs, 0},
		"one that has no members yet tells nothing":       {map[string]hello{"h1": at(8, 0), "h2": at(7, 9, Member{ID: "h3", Instance: "old"})}, true, Refused, 0},
		"two clusters answer":                             {map[string]hello{"h1": formed(founders), "h2": formed(other)}, false, Refused, 0},
		"founders that are not the list's":                {map[string]hello{"h1": formed(founders[1:], Member{ID: "h2", Instance: "i2"})}, false, Joining, 0},
	} {
		t.Run(name, func(t *testing.T) {
			v := decide(me, peers, tc.join, tc.answers)
			if v.standing != tc.want || len(v.founders) != tc.founds || (v.genesis != "") != (tc.want == Belongs) {
				t.Errorf("decided %+v", v)
			}
			if tc.want != Belongs && v.detail == "" {
				t.Error("does not say why")
			}
		})
	}
}

func FuzzHello(f *testing.F) {
	f.Add([]byte(`{"id":"h1","instance":"i1","list":"x","genesis":"g","founders":[{"id":"h1","instance":"i1","raft":"a:1"}],"members":[{"ID":"h1","Voter":true}],"term":3}`))
	f.Add([]byte(`{"id":"h1"`))
	me := origin{ID: "h3", Instance: "i3", Raft: "c:1"}
	peers := []Peer{{"h1", "a:1", ""}, {"h3", "c:1", ""}}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(bytes.NewReader(b))
		if err != nil {
			return
		}
		v := decide(me, peers, false, map[string]hello{"h1": h})
		if v.genesis == "" && len(v.founders) > 0 {
			t.Fatalf("founds nothing by name: %+v", v)
		}
		if v.standing == Belongs && v.genesis != h.Genesis && h.Genesis != "" {
			t.Fatalf("makes up a cluster beside one that is there: %+v", v)
		}
	})
}
