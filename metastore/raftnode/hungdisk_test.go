package raftnode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
)

// childEnv carries a child member's configuration: a member that must end its process
// cannot share it with the test.
const childEnv = "VSTACK_TEST_RAFT_CHILD"

const exitFatal = 3

type child struct {
	ID, Dir, TLS string
	Peers        []Peer
}

// runChild is a member that hangs its disk when it is told to, while it leads.
func runChild(spec string) int {
	var c child
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	id, err := identity.Load(c.TLS)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	disk := &slowBolt{}
	cfg := memberConfig(c.ID, c.Dir, c.Peers, id, &counter{}, func(error) { os.Exit(exitFatal) })
	cfg.DiskTimeout = 500 * time.Millisecond
	cfg.WrapLog = func(s LogStable) LogStable { disk.LogStable = s; return disk }
	n, err := Open(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("open")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() { // "hang" or "idle"; the end of input ends the child, whatever happened
		disk.hang()
		if lines.Text() == "idle" {
			continue // nothing is written but what the member itself tries
		}
		err := error(vstack.ErrNoLeader)
		for errors.Is(err, vstack.ErrNoLeader) { // elected, and not established yet
			_, err = n.Apply(context.Background(), []byte("x"))
		}
		fmt.Println("apply:", err)
	}
	return 0
}

// slowBolt holds log writes of a real store, for ever.
type slowBolt struct {
	LogStable
	mu   sync.Mutex
	hung bool
}

func (s *slowBolt) hang() {
	s.mu.Lock()
	s.hung = true
	s.mu.Unlock()
}

func (s *slowBolt) wait() {
	s.mu.Lock()
	hung := s.hung
	s.mu.Unlock()
	if hung {
		select {}
	}
}

func (s *slowBolt) StoreLogs(l []*raft.Log) error {
	s.wait()
	return s.LogStable.StoreLogs(l)
}

func (s *slowBolt) SetUint64(k []byte, v uint64) error {
	s.wait()
	return s.LogStable.SetUint64(k, v)
}

func TestALeaderWhoseDiskHangsIsReplaced(t *testing.T) {
	t.Run("under a write", func(t *testing.T) { replaceHungLeader(t, "hang") })
	t.Run("while nobody writes", func(t *testing.T) { replaceHungLeader(t, "idle") })
}

func replaceHungLeader(t *testing.T, command string) {
	g := newGroup(t, 3)
	g.start(0)
	g.start(1)
	spec, err := json.Marshal(child{ID: "h3", Dir: filepath.Join(g.dir, "h3"), TLS: g.issue("h3", identity.RoleHost, g.peers[2].Addr), Peers: g.peers})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("child said %q", lines.Text())
	}
	g.eventually("the child to lead", func() bool {
		for _, n := range g.nodes[:2] {
			if _, ok := n.Leading(); ok {
				_ = n.Transfer("h3") // until it is caught up and takes over
			}
		}
		return g.nodes[0].Leader() == "h3" && g.nodes[1].Leader() == "h3"
	})
	start := time.Now()
	if _, err := fmt.Fprintln(in, command); err != nil {
		t.Fatal(err)
	}
	lead := g.leader()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("another leader only after %s", d)
	}
	if _, err := g.nodes[lead].Apply(t.Context(), []byte("y")); err != nil {
		t.Errorf("write to the new leader: %v", err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFatal {
		t.Errorf("the member with the hung disk ended with %v, want exit %d", err, exitFatal)
	}
}
