package metastore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/metaclient"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/internal/wire"
	"github.com/vstack/vstack/metastore/raftnode"
	"github.com/vstack/vstack/metastore/raftnode/disk"
)

// grow starts a process that waits to be added.
func (c *cluster) grow() int {
	c.t.Helper()
	host, _, err := net.SplitHostPort(c.peers[0].API)
	if err != nil {
		c.t.Fatal(err)
	}
	c.addPeer(fmt.Sprintf("%s.%d", host[:strings.LastIndexByte(host, '.')], len(c.peers)+1))
	c.members = append(c.members, nil)
	i := len(c.peers) - 1
	c.start(i)
	c.standing(i, raftnode.Joining)
	return i
}

func (c *cluster) standing(i int, want raftnode.Standing) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("member %d to be %s", i, want), func() bool {
		is, _ := c.members[i].node.Standing()
		return is == want
	})
}

// join grows the cluster by one that votes.
func (c *cluster) join(cl *metaclient.Client) int {
	c.t.Helper()
	i := c.grow()
	p := c.peers[i]
	c.eventually("the new member to be added", func() bool {
		_, err := cl.AddMember(c.t.Context(), vstack.HostID(p.ID), p.Raft, p.API)
		return err == nil
	})
	c.voters(cl, i, true)
	return i
}

// voters waits until the member has its vote, or is gone.
func (c *cluster) voters(cl *metaclient.Client, i int, want bool) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("vote of member %d: %v", i, want), func() bool {
		list, err := cl.Members(c.t.Context())
		if err != nil {
			return false
		}
		for _, m := range list.Items {
			if m.ID == c.peers[i].ID {
				return m.Voter == want
			}
		}
		return !want
	})
}

// load is a writer, whose acknowledged writes are kept, and a reader.
type load struct {
	t      *testing.T
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	acked  []vstack.UploadID
	reads  int
}

func startLoad(t *testing.T, cl *metaclient.Client) *load {
	l := &load{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	l.wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			up, err := cl.OpenUpload(ctx, wire.OpenUploadRequest{Owner: vstack.ProposerID{1}, Source: testSource(fmt.Sprint("load ", n))})
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				t.Errorf("write %d: %v", n, err)
				return
			}
			l.mu.Lock()
			l.acked = append(l.acked, up.ID)
			l.mu.Unlock()
			if err := cl.AbortUpload(ctx, up.ID, up.Incarnation); err != nil && ctx.Err() == nil {
				t.Errorf("write %d: %v", n, err)
				return
			}
		}
	})
	l.wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := cl.Videos(ctx, listAll); err != nil && ctx.Err() == nil {
				t.Errorf("read: %v", err)
				return
			}
			l.mu.Lock()
			l.reads++
			l.mu.Unlock()
		}
	})
	return l
}

// stop ends the load and looks for every acknowledged write.
func (l *load) stop(cl *metaclient.Client) {
	l.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !l.enough() && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond) // a busy machine
	}
	l.cancel()
	l.wg.Wait()
	for _, id := range l.acked {
		if _, err := cl.Upload(l.t.Context(), id); err != nil {
			l.t.Errorf("acknowledged write is gone: %v", err)
		}
	}
	l.t.Logf("%d writes and %d reads, none failed", len(l.acked), l.reads)
	if !l.enough() {
		l.t.Errorf("%d writes, %d reads: that was no load", len(l.acked), l.reads)
	}
}

// leave removes a member. It is refused while a busy machine keeps the others from
// answering in time, and asked for again.
func (c *cluster) leave(cl *metaclient.Client, id vstack.HostID) {
	c.t.Helper()
	c.eventually(string(id)+" to be removed", func() bool {
		err := cl.RemoveMember(c.t.Context(), id, false)
		if err != nil && !errors.Is(err, vstack.ErrQuorumAtRisk) {
			c.t.Fatalf("remove %s: %v", id, err)
		}
		return err == nil
	})
}

func (l *load) enough() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked) >= 10 && l.reads >= 10
}

func TestThreeFiveThreeUnderLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	cl := c.client(0, 1, 2) // it was configured with the first three
	l := startLoad(t, cl)
	admin := c.client(0, 1, 2)
	c.join(admin)
	c.join(admin)
	// The first two leave, among them, sooner or later, a leader.
	if err := admin.TransferLeader(t.Context(), "h1"); err != nil {
		t.Error(err)
	}
	for i := range 2 {
		c.leave(admin, vstack.HostID(c.peers[i].ID))
		c.voters(admin, i, false)
		c.standing(i, raftnode.Removed)
		c.stop(i)
	}
	l.stop(cl)
	c.eventually("three members, one of which may fail", func() bool {
		st, err := cl.RaftStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(st.Peers) != 3 || st.Diverged {
			t.Fatalf("at the end: %+v", st)
		}
		return st.CanFail == 1
	})
	sameChecksum(t, c)
	// The last of the first three goes as well: whoever was configured is gone.
	c.join(cl)
	c.leave(cl, "h3")
	c.stop(2)
	if _, _, err := publish(t.Context(), cl, "nobody of old", 2); err != nil {
		t.Fatal(err)
	}
	c.stop(3)
	c.start(3)
	c.eventually("a member that joined to be restarted", c.members[3].follows)
}

func (m *member) follows() bool { return m.node.Leader() != "" }

func TestARollingRestartUnderLoadFailsNoRequest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.register()
	cl := c.client()
	l := startLoad(t, cl)
	for range 2 {
		for i := range c.members {
			c.stop(i)
			c.start(i)
			c.eventually("the restarted member to follow", c.members[i].follows)
		}
	}
	l.stop(cl)
	sameChecksum(t, c)
}

// heldLog stores entries once the test lets go, so that its member lacks everything.
type heldLog struct {
	disk.Store
	letGo <-chan struct{}
}

func (h heldLog) StoreLogs(l []*raft.Log) error { <-h.letGo; return h.Store.StoreLogs(l) }
func (h heldLog) StoreLog(l *raft.Log) error    { <-h.letGo; return h.Store.StoreLog(l) }

// growHeld adds a member that stores no entry before the test lets go.
func growHeld(t *testing.T) (c *cluster, cl *metaclient.Client, i int, letGo func()) {
	held := make(chan struct{})
	c = newCluster(t, 3, func(cfg *Config) {
		cfg.JoinTimeout = time.Second
		if cfg.Join {
			cfg.DiskTimeout = time.Hour
			cfg.WrapLog = func(s disk.Store) disk.Store { return heldLog{s, held} }
		}
	})
	letGo = sync.OnceFunc(func() { close(held) })
	t.Cleanup(letGo) // before the cluster's own clean-up, which waits for the member
	cl = c.client(0, 1, 2)
	c.leader()
	i = c.grow()
	c.eventually("the new member to be added", func() bool {
		_, err := cl.AddMember(t.Context(), "h4", c.peers[i].Raft, c.peers[i].API)
		return err == nil
	})
	return c, cl, i, letGo
}

// givenUp waits until the fourth member is one no more, which must never have voted.
func (c *cluster) givenUp(cl *metaclient.Client) {
	c.t.Helper()
	c.eventually("the member to be given up", func() bool {
		list, err := cl.Members(c.t.Context())
		if err == nil && len(list.Items) == 4 && list.Items[3].Voter {
			c.t.Fatal("a member without entries has a vote")
		}
		return err == nil && len(list.Items) == 3
	})
}

func TestAMemberThatNeverCatchesUpIsGivenUp(t *testing.T) {
	t.Parallel()
	c, cl, i, letGo := growHeld(t)
	c.givenUp(cl)
	letGo()
	c.eventually("it to learn that it was removed, if a leader ever reached it", func() bool {
		is, _ := c.members[i].node.Standing()
		return is == raftnode.Removed || c.members[i].node.Term() == 0
	})
}

func TestAMemberThatIsDeadForLongIsRemovedByItself(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, func(cfg *Config) { cfg.RemoveAfter = 2 * time.Second })
	c.register()
	cl := c.client(0, 1, 2)
	c.join(cl)
	c.stop(3)
	c.voters(cl, 3, false)
	if list, err := cl.Members(t.Context()); err != nil || len(list.Items) != 3 {
		t.Errorf("members %+v, %v: want the three that are left", list, err)
	}
	c.start(3)
	c.standing(3, raftnode.Removed)
}

func TestAWipedMemberIsAnotherOne(t *testing.T) {
	t.Parallel()
	c, cl, i, letGo := growHeld(t)
	c.members[i].stop()
	c.eventually("its API to be closed", func() bool {
		conn, err := net.Dial("tcp", c.peers[i].API)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	letGo() // nobody can ask it any more how far it is
	c.stop(i)
	if err := os.RemoveAll(filepath.Join(c.dir, c.peers[i].ID)); err != nil {
		t.Fatal(err)
	}
	c.start(i) // it stores what it is given, and must not be taken for the one that was added
	c.givenUp(cl)
	c.standing(i, raftnode.Joining)
}

func TestWhoMayBeAddedAndRemoved(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, nil)
	c.leader()
	cl := c.client(0, 1, 2)
	i := c.grow()
	p := c.peers[i]
	for what, try := range map[string]struct {
		id, raft, api string
		want          error
	}{
		"a name that is not its own":    {"h9", p.Raft, p.API, vstack.ErrInvalid},
		"an address that it has not":    {"h4", "127.0.0.1:1", p.API, vstack.ErrInvalid},
		"no address":                    {"h4", "somewhere", p.API, vstack.ErrInvalid},
		"an address with tricks":        {"h4", p.Raft + "|x:1", p.API, vstack.ErrInvalid},
		"nobody there":                  {"h4", p.Raft, "127.0.0.1:1", vstack.ErrInvalid},
		"a member at its place already": {"h1", c.peers[0].Raft, c.peers[0].API, nil},
		"another member's place":        {"h4", c.peers[0].Raft, c.peers[0].API, vstack.ErrInvalid},
	} {
		if _, err := cl.AddMember(t.Context(), vstack.HostID(try.id), try.raft, try.api); !errors.Is(err, try.want) {
			t.Errorf("add %s: %v, want %v", what, err, try.want)
		}
	}
	if resp, _ := c.request(t, c.admin, i, http.MethodGet, "/v1/placement", "", nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a process of no cluster answers %d", resp.StatusCode)
	}
	if resp, body := c.request(t, c.admin, i, http.MethodGet, "/readyz?verbose", "", nil); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "vstack raft add h4") {
		t.Errorf("readyz: %d %s", resp.StatusCode, body)
	}
	lead := c.leader()
	gone := (lead + 1) % 3
	c.stop(gone)
	stays := vstack.HostID(c.peers[(lead+2)%3].ID)
	c.eventually("a refusal to lose the majority", func() bool {
		err := cl.RemoveMember(t.Context(), stays, false)
		return errors.Is(err, vstack.ErrQuorumAtRisk)
	})
	c.leave(cl, vstack.HostID(c.peers[gone].ID)) // the one that is down
	if err := cl.RemoveMember(t.Context(), stays, true); err != nil {
		t.Errorf("remove one of two by force: %v", err)
	}
	if err := cl.RemoveMember(t.Context(), stays, false); err != nil {
		t.Errorf("remove it again: %v", err)
	}
	// Whoever of the two led, the last one stays.
	if err := cl.RemoveMember(t.Context(), vstack.HostID(c.peers[lead].ID), true); !errors.Is(err, vstack.ErrInvalid) {
		t.Errorf("remove the last one: %v", err)
	}
}
