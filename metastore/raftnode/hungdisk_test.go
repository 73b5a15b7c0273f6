package raftnode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
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
	slow := &slowBolt{}
	cfg := memberConfig(c.ID, c.Dir, c.Peers, id, &counter{}, func(error) { os.Exit(exitFatal) })
	cfg.DiskTimeout = 500 * time.Millisecond
	cfg.WrapLog = func(s disk.Store) disk.Store { slow.Store = s; return slow }
	n, err := Open(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("open")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() { // the end of input ends the child, whatever happened
		switch lines.Text() {
		case "idle":
			slow.hang()
			continue // nothing is written but what the member itself tries
		case "hang":
			slow.hang()
		case "eio":
			writeOn(n, func(acked int) {
				if acked == 5 {
					slow.err.Store(&errIO)
				}
			})
			continue
		case "fill":
			writeOn(n, func(int) {})
			continue
		}
		err := error(vstack.ErrNoLeader)
		for errors.Is(err, vstack.ErrNoLeader) { // elected, and not established yet
			_, err = n.Apply(context.Background(), []byte("x"))
		}
		fmt.Println("apply:", err)
	}
	return 0
}

// writeOn writes 64 KiB at a time until that errs, and prints a line for each entry that
// was acknowledged, of which it tells how many there are.
func writeOn(n *Node, tell func(acked int)) {
	entry := make([]byte, 64<<10)
	for acked := 0; ; {
		changed := n.Changed()
		_, err := n.Apply(context.Background(), entry)
		switch {
		case err == nil:
			fmt.Println("acked")
			acked++
			tell(acked)
		case errors.Is(err, vstack.ErrNoLeader):
			<-changed
		default:
			fmt.Println("apply:", err)
			return
		}
	}
}

var errIO error = syscall.EIO

// slowBolt holds log writes of a real store, for ever, or fails them.
type slowBolt struct {
	disk.Store
	err  atomic.Pointer[error]
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
	if err := s.err.Load(); err != nil {
		return *err
	}
	return s.Store.StoreLogs(l)
}

func (s *slowBolt) SetUint64(k []byte, v uint64) error {
	s.wait()
	return s.Store.SetUint64(k, v)
}

func TestALeaderWhoseDiskHangsIsReplaced(t *testing.T) {
	t.Run("under a write", func(t *testing.T) { replaceHungLeader(t, "hang") })
	t.Run("while nobody writes", func(t *testing.T) { replaceHungLeader(t, "idle") })
}

func replaceHungLeader(t *testing.T, command string) {
	g := newGroup(t, 3)
	c := g.startChild(t, filepath.Join(g.dir, "h3"))
	start := time.Now()
	c.tell(command)
	lead := g.leader()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("another leader only after %s", d)
	}
	if _, err := g.nodes[lead].Apply(t.Context(), []byte("y")); err != nil {
		t.Errorf("write to the new leader: %v", err)
	}
	c.ends()
}

// childProcess is the third member of a group, which leads, in a process of its own.
type childProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func (g *group) startChild(t *testing.T, dir string) *childProcess {
	t.Helper()
	g.start(0)
	g.start(1)
	spec, err := json.Marshal(child{ID: "h3", Dir: dir, TLS: g.issue("h3", identity.RoleHost, g.peers[2].Addr), Peers: g.peers})
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
	c := &childProcess{t, cmd, in, bufio.NewScanner(out)}
	if !c.lines.Scan() || c.lines.Text() != "open" {
		t.Fatalf("child said %q", c.lines.Text())
	}
	g.eventually("the child to lead", func() bool {
		for _, n := range g.nodes[:2] {
			if _, ok := n.Leading(); ok {
				_ = n.Transfer("h3") // until it is caught up and takes over
			}
		}
		return g.nodes[0].Leader() == "h3" && g.nodes[1].Leader() == "h3"
	})
	return c
}

func (c *childProcess) tell(command string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, command); err != nil {
		c.t.Fatal(err)
	}
}

// ends wants the child to have ended itself, and counts what it acknowledged.
func (c *childProcess) ends() (acked int) {
	c.t.Helper()
	for c.lines.Scan() {
		if c.lines.Text() == "acked" {
			acked++
		}
	}
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFatal {
		c.t.Errorf("the member with the bad disk ended with %v, want exit %d", err, exitFatal)
	}
	_ = c.in.Close()
	return acked
}
