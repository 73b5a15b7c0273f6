package metastore

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/sealed"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/standin"
)

// killed is what the process that is killed gets to know.
type killed struct {
	Dir   string
	Peers []PeerConfig
}

const killedEnv = "VSTACK_TEST_KILLED"

// killable has logs that end with each snapshot, and snapshots one after the other, so that a
// member that is behind is sent one.
func killable(cfg *Config) {
	calm(cfg)
	cfg.TrailingLogs, cfg.SnapshotEntries, cfg.SnapshotEvery = 1, 8, 20*time.Millisecond
	cfg.Key = sealed.NewKey([sealed.KeyLen]byte{1, cfg.ID[1]})
}

// TestKilledMembersComeBack kills the process of three members at any moment, while films are
// published and deleted, snapshots taken and sent, and manifests dropped. What was acknowledged
// is there on all of them, and they agree. VSTACK_SOAK=1 kills 200 times.
func TestKilledMembersComeBack(t *testing.T) {
	t.Parallel()
	rounds := 4
	if os.Getenv("VSTACK_SOAK") != "" {
		rounds = 200
	}
	c := newCluster(t, 3, killable)
	c.levelBeats(vstack.NewestLevel)
	for i := range c.members {
		c.stop(i)
		c.issue(identity.Spec{ID: c.peers[i].ID, Role: identity.RoleHost, Addrs: []string{strings.TrimSuffix(c.peers[i].API, ":8080")}}) // in place of that for heartbeats
	}
	told, err := json.Marshal(killed{c.dir, c.peers})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(31, 32))
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheMembersThatAreKilled$", "-test.v", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), killedEnv+"="+string(told))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		sound, late := false, round%4 < 3 // one in four may die before it publishes
		for lines, begun := bufio.NewScanner(out), false; (!sound || late && !begun) && lines.Scan(); {
			fmt.Fprintln(&said, lines.Text())
			sound, begun = sound || lines.Text() == allThere, begun || lines.Text() == published
		}
		if sound {
			<-time.After(time.Duration(rng.IntN(700)) * time.Millisecond) // when it dies is chance
			if err := cmd.Process.Kill(); err != nil {
				t.Errorf("it had ended: %v", err)
			}
		}
		rest, _ := io.ReadAll(out)
		if err := cmd.Wait(); !sound || cmd.ProcessState.Exited() {
			t.Fatalf("after %d kills it ended by itself: %v\n%s%s", round, err, said.String(), rest)
		}
	}
	b, err := os.ReadFile(filepath.Join(c.dir, "told"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills, %d films published, %d deleted", rounds, strings.Count(string(b), "p "), strings.Count(string(b), "d "))
	if strings.Count(string(b), "p ") < rounds*3/4 {
		t.Errorf("they published too little")
	}
}

// What the process that is killed says: what it found is sound, and it has published since.
const (
	allThere  = "all that was acknowledged is there"
	published = "a film is published"
)

// TestTheMembersThatAreKilled is the process that TestKilledMembersComeBack kills.
func TestTheMembersThatAreKilled(t *testing.T) {
	env := os.Getenv(killedEnv)
	if env == "" {
		t.Skip("only as the child of TestKilledMembersComeBack")
	}
	var in killed
	if err := json.Unmarshal([]byte(env), &in); err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: in.Dir, peers: in.Peers, members: make([]*member, len(in.Peers)), adjust: killable, founders: len(in.Peers)}
	load := func(id string) *identity.Identity {
		out, err := identity.Load(filepath.Join(in.Dir, "tls-"+id))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	c.admin = load("admin")
	for _, p := range c.peers {
		c.ids = append(c.ids, load(p.ID))
		if err := standin.Check(filepath.Join(c.dir, p.ID), sealed.NewKey([sealed.KeyLen]byte{1, p.ID[1]})); err != nil {
			t.Fatal(err)
		}
	}
	for i := range c.members {
		c.start(i)
	}
	c.leader()
	cl := c.client()
	ack, err := os.OpenFile(filepath.Join(in.Dir, "told"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c.holdTo(cl, ack)
	fmt.Println("\n" + allThere)
	var mu sync.Mutex
	var first sync.Once
	say := func(what string, id vstack.VideoID) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Fprintf(ack, "%s %s\n", what, id); err != nil {
			panic(err)
		}
	}
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for k := 0; ; k++ {
				v, _, err := publish(t.Context(), cl, fmt.Sprintf("film %d of %d", k, n), 1+k%50)
				if err != nil {
					continue
				}
				say("p", v.ID)
				first.Do(func() { fmt.Println("\n" + published) })
				if k%3 == 0 {
					say("D", v.ID) // from here on it may be gone
					if cl.DeleteVideo(t.Context(), v.ID) == nil {
						say("d", v.ID)
					}
				}
			}
		})
	}
	for !t.Failed() { // one member after the other falls so far behind that it is sent a snapshot
		i := rand.IntN(len(c.members))
		behind := c.members[i].catalog.View().Applied()
		c.stop(i)
		c.eventually("the others' log to begin later", func() bool { return c.members[(i+1)%3].node.OldestSnapshot() > behind })
		c.start(i)
		c.eventually("it to have caught up", func() bool { return c.members[i].catalog.View().Applied() > behind })
	}
	os.Exit(3)
}

// holdTo wants all members to have what was acknowledged, and to agree.
func (c *cluster) holdTo(cl *metaclient.Client, ack *os.File) {
	c.t.Helper()
	b, err := io.ReadAll(ack)
	if err != nil {
		c.t.Fatal(err)
	}
	films := map[string]string{}
	for line := range strings.Lines(string(b)) {
		what, id, whole := strings.Cut(strings.TrimSpace(line), " ")
		if !whole {
			c.t.Fatalf("%q", line)
		}
		films[id] = what
	}
	last, _, err := publish(c.t.Context(), cl, "after the kill", 1) // and so a term of its own is applied
	for err != nil {
		last, _, err = publish(c.t.Context(), cl, "after the kill", 1)
	}
	c.caughtUp(last.Index)
	for i, m := range c.members {
		view := m.catalog.View()
		for id, what := range films {
			video, err := vstack.ParseVideoID(id)
			if err != nil {
				c.t.Fatal(err)
			}
			got, _, err := view.Manifest(video)
			switch {
			case what == "p" && (err != nil || got.Video != video):
				c.t.Fatalf("member %d at %d: film %s was published: %v", i, view.Applied(), id, err)
			case what == "d" && !errors.Is(err, vstack.ErrNotFound):
				c.t.Fatalf("member %d at %d: film %s was deleted: %v", i, view.Applied(), id, err)
			}
		}
	}
	sameChecksum(c.t, c)
}
