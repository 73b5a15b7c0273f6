package raftnode

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vstack/vstack/internal/identity"
	"github.com/vstack/vstack/internal/loopback"
	"github.com/vstack/vstack/internal/vstack"
	"github.com/vstack/vstack/metastore/raftnode/disk"
	"github.com/vstack/vstack/metastore/raftnode/transport"
)

// counter is an FSM that counts what it was given.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Apply(*raft.Log) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}
func (c *counter) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("not in this test") }
func (c *counter) Restore(io.ReadCloser) error         { return errors.New("not in this test") }
func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// group is a set of members in one process over real TLS.
type group struct {
	t     *testing.T
	dir   string
	ca    *identity.CA
	peers []Peer
	fsms  []*counter
	nodes []*Node
	fatal chan error
}

func newGroup(t *testing.T, n int) *group {
	t.Helper()
	g := &group{t: t, dir: t.TempDir(), fsms: make([]*counter, n), nodes: make([]*Node, n), fatal: make(chan error, 16)}
	var err error
	if g.ca, err = identity.CreateCA(filepath.Join(g.dir, "ca")); err != nil {
		t.Fatal(err)
	}
	subnet := loopback.Subnet(t)
	for i := range n {
		g.peers = append(g.peers, Peer{ID: fmt.Sprintf("h%d", i+1), Addr: fmt.Sprintf("%s.%d:7080", subnet, i+1), API: fmt.Sprintf("%s.%d:8080", subnet, i+1)})
	}
	t.Cleanup(func() {
		for _, n := range g.nodes {
			if n != nil {
				_ = n.Close()
			}
		}
	})
	return g
}

func (g *group) identity(id string, role identity.Role, addr string) *identity.Identity {
	g.t.Helper()
	out, err := identity.Load(g.issue(id, role, addr))
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// issue makes a certificate and returns its directory.
func (g *group) issue(id string, role identity.Role, addr string) string {
	g.t.Helper()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		g.t.Fatal(err)
	}
	dir := filepath.Join(g.t.TempDir(), id)
	if err := g.ca.Issue(dir, identity.Spec{ID: id, Role: role, Addrs: []string{host}, ValidFor: time.Hour}); err != nil {
		g.t.Fatal(err)
	}
	return dir
}

func (g *group) config(i int) Config {
	id := g.identity(g.peers[i].ID, identity.RoleHost, g.peers[i].Addr)
	g.fsms[i] = &counter{}
	return memberConfig(g.peers[i].ID, filepath.Join(g.dir, g.peers[i].ID), g.peers, id, g.fsms[i], func(err error) { g.fatal <- err })
}

func memberConfig(name, dir string, peers []Peer, id *identity.Identity, fsm raft.FSM, fatal func(error)) Config {
	return Config{
		ID: name, Dir: dir, Peers: peers,
		ServerTLS: id.MutualTLS, ClientTLS: id.ClientTLS(),
		Peer: func(cs *tls.ConnectionState) (string, error) {
			p, ok := identity.PeerOf(cs)
			return p.ID, identity.Require(p, ok, vstack.RoleMeta)
		},
		FSM: fsm, Fatal: fatal, Logger: slog.New(slog.DiscardHandler),
	}
}

// all is a roster of everybody.
type all struct{}

func (all) Knows(string) bool                    { return true }
func (all) Member(string) bool                   { return true }
func (all) KnowsAs(string, raft.ServerID) bool   { return true }
func (all) At(raft.ServerAddress) (string, bool) { return "", false }

// transport is one that takes messages from everybody in the cluster "test".
func (g *group) transport(cfg Config) *transport.Transport {
	g.t.Helper()
	s, err := transport.Listen(cfg.transport(all{}, func(string) ([]byte, error) { return nil, nil }), "test")
	if err != nil {
		g.t.Fatal(err)
	}
	return transport.New(s, newLogger(cfg.Logger))
}

func (g *group) start(i int, adjust ...func(*Config)) {
	g.t.Helper()
	cfg := g.config(i)
	for _, f := range adjust {
		f(&cfg)
	}
	n, err := Open(cfg)
	if err != nil {
		g.t.Fatalf("open member %d: %v", i, err)
	}
	g.nodes[i] = n
}

func (g *group) startAll() {
	for i := range g.nodes {
		g.start(i)
	}
}

func (g *group) leader() int {
	g.t.Helper()
	lead := -1
	g.eventually("a leader", func() bool {
		for i, n := range g.nodes {
			if n != nil {
				if _, ok := n.Leading(); ok {
					lead = i
					return true
				}
			}
		}
		return false
	})
	return lead
}

func (g *group) eventually(what string, done func() bool) {
	g.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); {
		if time.Now().After(deadline) {
			g.t.Fatalf("waited too long for %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func TestADirectoryBelongsToOneMember(t *testing.T) {
	g := newGroup(t, 1)
	g.start(0)
	g.leader()
	if _, err := g.nodes[0].Apply(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := g.nodes[0].Close(); err != nil {
		t.Fatal(err)
	}
	other := g.config(0)
	other.Peers = []Peer{{ID: "h1", Addr: g.peers[0].Addr, API: "127.0.0.1:1"}}
	if _, err := Open(other); !errors.Is(err, vstack.ErrInvalid) {
		t.Fatalf("another address on a used directory: %v", err)
	}
	other = g.config(0)
	other.ID, other.Peers = "h9", []Peer{{ID: "h9", Addr: g.peers[0].Addr}}
	if _, err := Open(other); !errors.Is(err, vstack.ErrInvalid) {
		t.Fatalf("another member on a used directory: %v", err)
	}
	g.start(0)
	g.leader()
	// Established, so what was committed before is applied again, once.
	if n := g.fsms[0].count(); n != 1 {
		t.Fatalf("%d entries after a restart, want 1", n)
	}
}

func TestABootstrapThatWasCutOffIsRepeated(t *testing.T) {
	g := newGroup(t, 1)
	half := raft.NewInmemStore()
	cfg := g.config(0)
	cfg.withDefaults()
	conf := (&Node{cfg: cfg}).raftConfig()
	snaps := raft.NewInmemSnapshotStore()
	_, trans := raft.NewInmemTransport("x")
	defer trans.Close()
	if err := half.SetUint64([]byte("CurrentTerm"), 1); err != nil {
		t.Fatal(err)
	}
	conf.LocalID = "h1.1"
	stable := &disk.Votes{StableStore: half}
	if has, err := hasState(half, stable, snaps); err != nil || has {
		t.Fatalf("a bootstrap that was cut off counts as state: %v, %v", has, err)
	}
	if err := raft.BootstrapCluster(conf, half, stable, snaps, trans, configurationOf([]Founder{{ID: "h1", Instance: "1", Raft: g.peers[0].Addr}})); err != nil {
		t.Fatal(err)
	}
	if last, _ := half.LastIndex(); last != 1 {
		t.Fatalf("the log ends at %d: the member would wait for ever", last)
	}
}

func TestOnlyHostsSpeakRaft(t *testing.T) {
	g := newGroup(t, 1)
	g.start(0)
	g.leader()
	proto := transport.RaftProto + g.nodes[0].Genesis()
	dial := func(cfg *tls.Config, protos ...string) error {
		cfg.NextProtos = protos
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", g.peers[0].Addr, cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		// A refusal after the handshake shows as the end of the stream.
		if err := c.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			return err
		}
		_, err = c.Read(make([]byte, 1))
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return nil // still open: admitted
		}
		return err
	}
	host := g.identity("h1", identity.RoleHost, g.peers[0].Addr)
	if err := dial(host.ClientTLS(), proto); err != nil {
		t.Errorf("a host is refused: %v", err)
	}
	if dial(host.ClientTLS()) == nil {
		t.Error("a connection without the protocol is admitted")
	}
	if dial(g.identity("root", identity.RoleAdmin, g.peers[0].Addr).ClientTLS(), proto) == nil {
		t.Error("an administrator speaks Raft")
	}
	bare := host.ClientTLS()
	bare.GetClientCertificate = nil
	if dial(bare, proto) == nil {
		t.Error("a client without a certificate is admitted")
	}
}

// A heartbeat that the library would answer on the connection's goroutine must reach
// Consumer, from which the main loop takes its requests.
func TestHeartbeatsTakeTheMainLoop(t *testing.T) {
	g := newGroup(t, 1)
	cfg := g.config(0)
	cfg.withDefaults()
	tr := g.transport(cfg)
	defer func() { _ = tr.Close() }()
	tr.SetHeartbeatHandler(func(rpc raft.RPC) { rpc.Respond(&raft.AppendEntriesResponse{}, errors.New("fast path")) })
	got := make(chan raft.RPC, 1)
	go func() {
		rpc := <-tr.Consumer()
		rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
		got <- rpc
	}()
	beat := raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("h1.x"), Addr: []byte(g.peers[0].Addr)}, Term: 1}
	var resp raft.AppendEntriesResponse
	if err := tr.AppendEntries("h1", raft.ServerAddress(g.peers[0].Addr), &beat, &resp); err != nil || !resp.Success {
		t.Fatalf("heartbeat: %+v, %v", resp, err)
	}
	<-got
}

func TestReadIndexWantsAMajorityAtItsTerm(t *testing.T) {
	g := newGroup(t, 3)
	g.startAll()
	var err error
	// What was found counts if one leader led all the while; an election is no reason to fail.
	g.eventually("a leader that stays for the questions", func() bool {
		lead := g.leader()
		l, ok := g.nodes[lead].Leading()
		if !ok {
			return false
		}
		err = g.askReadIndex(lead, l)
		now, leads := g.nodes[lead].Leading()
		return leads && now.Term == l.Term
	})
	if err != nil {
		t.Error(err)
	}
}

// askReadIndex asks a leader and its followers for a read index, with all kinds of answers
// about terms.
func (g *group) askReadIndex(lead int, l Leadership) error {
	ctx, n := g.t.Context(), g.nodes[lead]
	if _, err := n.Apply(ctx, []byte("x")); err != nil {
		return err
	}
	say := func(term uint64, err error) func(context.Context, string) (uint64, error) {
		return func(context.Context, string) (uint64, error) { return term, err }
	}
	// A barrier takes an index that the catalog never sees.
	if err := n.raft.Barrier(0).Error(); err != nil {
		return err
	}
	index, err := n.ReadIndex(ctx, say(l.Term, nil))
	if err != nil || index == 0 {
		return fmt.Errorf("with all at our term: %d, %v", index, err)
	}
	var entry raft.Log
	if err := n.log.GetLog(index, &entry); err != nil || entry.Type != raft.LogCommand {
		return fmt.Errorf("index %d is a %s: the catalog would never reach it", index, entry.Type)
	}
	if _, err := n.ReadIndex(ctx, say(l.Term+1, nil)); !errors.Is(err, vstack.ErrNoLeader) {
		return fmt.Errorf("a later term exists: %v", err)
	}
	if _, err := n.ReadIndex(ctx, say(0, vstack.ErrUnavailable)); !errors.Is(err, vstack.ErrNoLeader) {
		return fmt.Errorf("nobody answers: %v", err)
	}
	for i, other := range g.nodes {
		if i != lead {
			if _, err := other.ReadIndex(ctx, say(l.Term, nil)); !errors.Is(err, vstack.ErrNoLeader) {
				return fmt.Errorf("a follower: %v", err)
			}
		}
	}
	return nil
}
